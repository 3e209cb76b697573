"""Which differences between the two sides are allowed, and that the list of them can't rot."""

from __future__ import annotations

import pytest

from suites.losses import ALLOWED, FOLDER
from suites.outcomes import Allowed, Loss, Outcome, Result, judge, only_numbers_differ

PASSED = Result(Outcome.PASSED)
FAILED = Result(Outcome.FAILED, "-1\n+2\n")

ENTRY = Allowed("suite", "test", Loss.SEQUENCE_STATE, "asks currval()", FAILED.detail)


def test_alike_is_clean() -> None:
    both = {"one": PASSED, "other": Result(Outcome.SKIPPED), "bad": FAILED, "good": PASSED}
    assert judge("suite", both, dict(both), ()).is_clean


def test_a_difference_without_an_entry_is_a_fault() -> None:
    verdict = judge("suite", {"test": PASSED}, {"test": FAILED}, ())
    assert verdict.faults == ("test: passed straight, failed through",)


def test_to_fail_in_another_way_is_a_difference() -> None:
    straight = {"ok": PASSED, "test": Result(Outcome.FAILED, "-1\n+3\n")}
    assert [d.test for d in judge("suite", straight, straight | {"test": FAILED}, ()).differences]


def test_a_test_that_was_not_reached_is_a_fault() -> None:
    verdict = judge("suite", {"test": PASSED, "cut off": PASSED}, {"test": PASSED}, ())
    assert verdict.faults == ("cut off: passed straight, absent through",)


def test_a_difference_with_its_entry_is_allowed() -> None:
    verdict = judge("suite", {"test": PASSED, "x": PASSED}, {"test": FAILED, "x": PASSED}, (ENTRY,))
    assert verdict.is_clean
    assert [difference.allowed for difference in verdict.differences] == [ENTRY]


def test_an_entry_of_another_suite_allows_nothing() -> None:
    assert not judge("other", {"test": PASSED}, {"test": FAILED}, (ENTRY,)).is_clean


def test_an_entry_allows_one_way_to_fail_only() -> None:
    otherwise = Result(Outcome.FAILED, "-1\n+3\n")
    verdict = judge("suite", {"test": PASSED}, {"test": otherwise}, (ENTRY,))
    assert verdict.faults == ("test: fails in another way than the one that is allowed",)


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.ABSENT])
def test_an_entry_allows_no_test_to_be_left_out(outcome: Outcome) -> None:
    entry = Allowed("suite", "test", Loss.PROCESS_ID, "tells its id")
    assert not judge("suite", {"test": PASSED}, {"test": Result(outcome)}, (entry,)).is_clean


def test_an_entry_without_a_difference_is_a_fault() -> None:
    (fault,) = judge("suite", {"test": PASSED}, {"test": PASSED}, (ENTRY,)).faults
    assert "remove the entry" in fault


def test_an_entry_whose_test_was_not_run_is_none() -> None:
    assert judge("suite", {"quick": PASSED}, {"quick": PASSED}, (ENTRY,)).is_clean


def test_a_suite_that_fails_as_a_whole_is_a_fault() -> None:
    """Two sides that both do nothing are alike, and prove nothing."""
    assert not judge("suite", {}, {}, ()).is_clean
    assert not judge("suite", {"test": FAILED}, {"test": FAILED}, ()).is_clean


def test_random_numbers_may_differ_and_nothing_else() -> None:
    numbers = "@@\n random \n--------\n-   0.31\n-      7\n+  -0.4e1\n+      7\n"
    assert only_numbers_differ("@@\n-   0.31\n+   -0.45\n")
    assert not only_numbers_differ("@@\n-   0.31\n+ERROR:  no\n")
    assert not only_numbers_differ("")
    assert not only_numbers_differ(numbers)
    entry = Allowed("suite", "test", Loss.RANDOM_SEED, "expects them", is_random=True)
    verdict = judge("suite", {"test": PASSED, "x": PASSED}, {"test": FAILED, "x": PASSED}, (entry,))
    assert verdict.is_clean


def test_each_kept_way_to_fail_belongs_to_an_entry() -> None:
    kept = {(file.parent.name, file.stem) for file in FOLDER.glob("*/*.diff")}
    assert kept == {(entry.suite, entry.test) for entry in ALLOWED if entry.detail}


def test_no_test_is_allowed_twice() -> None:
    names = [(entry.suite, entry.test) for entry in ALLOWED]
    assert len(names) == len(set(names))
