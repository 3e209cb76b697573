from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path

import pytest

from torpor_api.failures import InvalidRequest
from torpor_simulator.recorded import parse, read, write

HEAD = '{"torporTrace": 1, "name": "shop", "seconds": 600}'


def refusal(lines: Sequence[str]) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse(lines, "t")
    return refused.value.message


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
def test_what_was_written_is_read_again(tmp_path: Path, name: str) -> None:
    lines = [
        {"db": "shop", "cu": 0.5, "sessions": 4, "linger": 60},
        {"db": "shop", "at": 20.0, "took": 0.5},
        {"db": "shop", "at": 10.0, "took": 0.5},
        {"db": "blog", "at": 5, "knock": True},
    ]
    write(tmp_path / name, "tuesday", 600.0, lines)
    found = read(tmp_path / name)
    assert (found.name, found.duration_s) == ("tuesday", 600.0)
    blog, shop = found.databases
    assert (blog.name, blog.knocks, blog.linger_s, blog.cu) == ("blog", [5.0], inf, 0.25)
    life = shop.life(600.0)
    assert (life.lead_s, life.busy_s, life.tail_s) == (10.0, 1.0, 579.5)
    assert life.stretches[0].gaps == [9.5]
    assert (life.queries, life.sessions, life.linger_s, life.cu) == (2, 4, 60.0, 0.5)


def test_a_line_that_is_wrong_is_named_with_its_fault() -> None:
    assert refusal([]) == "t: is empty: the first line says torporTrace and seconds"
    assert refusal(["{}"]) == 't:1: the first line has to say "torporTrace": 1'
    assert refusal([HEAD, '{"at": 3}']) == "t:2: has no 'db'"
    assert refusal([HEAD, '{"db": "a", "at": 3}']) == "t:2: has no 'took'"
    too_late = refusal([HEAD, '{"db": "a", "at": 601, "took": 1}'])
    assert too_late == "t:2: at 601 is not a number from 0 to 600"
    assert refusal([HEAD, '{"db": "a", "at": true, "took": 1}']).startswith("t:2: at True is not")
    assert refusal([HEAD, "nonsense"]).startswith("t:2: Expecting value")
    assert refusal([HEAD, "[]"]).startswith('t:2: is no object, like {"db": ')


def test_what_is_no_gzip_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl.gz"
    file.write_text(HEAD)
    with pytest.raises(InvalidRequest, match="is no recorded trace"):
        read(file)
