"""What the kernel's files say of a container, in both versions of cgroups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torpor_api.messages import ComputeUse
from torpor_compute.adapters import cgroup

V2 = {
    "cgroup.controllers": "cpu memory io\n",
    "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nnr_throttled 3\nthrottled_usec 750000\n",
    "cpu.max": "150000 100000\n",
    "memory.current": "900\n",
    "memory.max": "4294967296\n",
    "memory.events": "low 0\nhigh 0\nmax 44\noom 4\noom_kill 2\noom_group_kill 0\n",
    "memory.stat": "anon 100\nfile 700\nkernel 90\nkernel_stack 10\npagetables 30\npercpu 3\n"
    "sock 2\nshmem 300\nslab_reclaimable 40\nslab_unreclaimable 5\nslab 45\n"
    "workingset_refault_file 7\n",
}

V1 = {
    "cpuacct/cpuacct.usage": "2500000000\n",
    "cpu/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_time 750000000\n",
    "cpu/cpu.cfs_quota_us": "150000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "memory/memory.usage_in_bytes": "900\n",
    "memory/memory.kmem.usage_in_bytes": "50\n",
    "memory/memory.limit_in_bytes": "4294967296\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory/memory.stat": "rss 1\ntotal_rss 100\ntotal_cache 700\ntotal_shmem 300\n"
    "total_workingset_refault_file 7\n",
}

USED = ComputeUse(
    cpu_seconds=2.5,
    memory_bytes=900,
    anonymous_bytes=100,
    shared_memory_bytes=300,
    kernel_bytes=50,
    memory_limit_bytes=4 << 30,
    oom_kills=2,
    file_bytes=400,
    refaults=7,
    cpu_limit=1.5,
    throttled_seconds=0.75,
)


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def read(folder: Path, files: dict[str, str]) -> ComputeUse:
    container = cgroup.own(cgroup.of_container(written(folder, files)))
    assert container is not None
    return container()


@pytest.mark.parametrize("files", [V2, V1])
def test_both_versions_tell_the_same(tmp_path: Path, files: dict[str, str]) -> None:
    assert read(tmp_path, files) == USED


def test_without_limits_there_are_none(tmp_path: Path) -> None:
    unlimited = {"cpu.max": "max 100000\n", "memory.max": "max\n"}
    used = read(tmp_path, V2 | unlimited)
    assert (used.cpu_limit, used.memory_limit_bytes) == (None, None)


def test_nor_in_the_first_version(tmp_path: Path) -> None:
    unlimited = {
        "cpu/cpu.cfs_quota_us": "-1\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    used = read(tmp_path, V1 | unlimited)
    assert (used.cpu_limit, used.memory_limit_bytes) == (None, None)


def test_what_a_kernel_does_not_count_of_its_own_memory_is_not_told(tmp_path: Path) -> None:
    old = V2 | {"memory.stat": "anon 100\nfile 700\nshmem 300\nkernel_stack 10\n"}
    assert read(tmp_path / "v2", old).kernel_bytes == 10
    files = {name: text for name, text in V1.items() if "kmem" not in name}
    assert read(tmp_path / "v1", files).kernel_bytes is None


@pytest.mark.parametrize(
    ("files", "name"), [(V2, "memory.events"), (V1, "memory/memory.oom_control")]
)
@pytest.mark.parametrize("text", [None, "oom_kill_disable 0\n"])
def test_an_old_kernel_does_not_count_whom_it_ends(
    tmp_path: Path, files: dict[str, str], name: str, text: str | None
) -> None:
    others = {path: text for path, text in files.items() if path != name}
    old = others if text is None else others | {name: text}
    assert read(tmp_path, old).oom_kills is None


def test_one_that_can_not_be_read_is_none(tmp_path: Path) -> None:
    assert cgroup.own(cgroup.of_container(tmp_path)) is None


@pytest.mark.parametrize("files", [V2, V1])
def test_one_that_was_made_for_it_alone_is_read_wherever_it_is(
    tmp_path: Path, files: dict[str, str]
) -> None:
    """Of the first version it has a folder in each of three hierarchies."""
    folder = written(tmp_path, files)
    names = (".", ".", ".") if files is V2 else ("cpu", "cpuacct", "memory")
    folders = [folder / name for name in names]
    nowhere = tmp_path / "nowhere"
    for has_own in (False, True):
        container = cgroup.of_compute(folders, has_own_container=has_own, mounted=nowhere)
        assert container is not None and container().memory_bytes == USED.memory_bytes
        assert container().cpu_seconds == USED.cpu_seconds


def test_a_container_is_read_only_by_who_has_it_to_himself(tmp_path: Path) -> None:
    written(tmp_path, V2)
    container = cgroup.of_compute((), has_own_container=True, mounted=tmp_path)
    assert container is not None and container() == USED
    assert cgroup.of_compute((), has_own_container=False, mounted=tmp_path) is None


def test_it_enters_each_of_them_once_and_none_that_is_not_there(tmp_path: Path) -> None:
    cpu, memory = tmp_path / "cpu", tmp_path / "memory"
    for folder in (cpu, memory):
        folder.mkdir()
    (cpu / "cgroup.procs").write_text("")
    cgroup.enter((cpu, cpu, memory))
    assert (cpu / "cgroup.procs").read_text() == str(os.getpid())
    assert not (memory / "cgroup.procs").exists()
