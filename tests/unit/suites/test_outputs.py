"""What other people's programs print is understood."""

from __future__ import annotations

from suites import asyncpg_suite, present_ids, regress_output, transactions
from suites.outcomes import Outcome, Result

DIFFS = """\
diff -U3 /tmp/a/expected/sequence.out /tmp/b/results/sequence.out
--- /tmp/a/expected/sequence.out	2026-08-11 18:38:31.000000000 +0000
+++ /tmp/b/results/sequence.out	2026-11-24 23:37:38.579709254 +0000
@@ -22,7 +22,7 @@ ERROR
 SELECT lastval();
- 1
--- a comment that is gone
+ERROR:  lastval is not yet defined in this session of PID 4711
diff -U3 /tmp/a/expected/int8.out /tmp/b/results/int8.out
@@ -1 +1 @@
-1
+2
"""


def test_lines_of_pg_regress() -> None:
    assert regress_output.reported("ok 12        + int8                 30 ms") == ("int8", True)
    assert regress_output.reported("not ok 3     - temp                  7 ms") == ("temp", False)
    assert regress_output.reported("# parallel group (2 tests):  int8 temp") is None
    assert regress_output.reported("1..231") is None


def test_how_a_test_failed_has_no_path_and_no_time() -> None:
    details = regress_output.details(DIFFS.splitlines())
    assert details["int8"] == "@@\n-1\n+2\n"
    assert details["sequence"].splitlines() == [
        "@@ ERROR",
        " SELECT lastval();",
        "- 1",
        "--- a comment that is gone",
        "+ERROR:  lastval is not yet defined in this session of PID n",
    ]


def test_results_of_pg_regress() -> None:
    results = regress_output.results({"int8": False, "temp": True, "gone": False}, DIFFS)
    assert results == {
        "int8": Result(Outcome.FAILED, "@@\n-1\n+2\n"),
        "temp": Result(Outcome.PASSED),
        "gone": Result(Outcome.FAILED, ""),
    }


def test_report_of_pytest() -> None:
    report = """<testsuites><testsuite>
      <testcase classname="tests.test_pool.TestPool" name="test_1" />
      <testcase classname="tests.test_pool.TestPool" name="test_2"><failure>x</failure></testcase>
      <testcase classname="tests.test_pool.TestPool" name="test_3"><skipped /></testcase>
      <testcase classname="tests.test_pool.TestPool" name="test_4" />
      <testcase classname="tests.test_pool.TestPool" name="test_4"><error>x</error></testcase>
      <testcase classname="tests.test_pool.TestPool" name="test_2" />
    </testsuite></testsuites>"""
    outcomes = {name[-1]: each.outcome for name, each in asyncpg_suite.results(report).items()}
    assert outcomes == {
        "1": Outcome.PASSED,
        "2": Outcome.FAILED,
        "3": Outcome.SKIPPED,
        "4": Outcome.FAILED,
    }


def test_pgbench_passes_only_where_something_was_done_and_nothing_failed() -> None:
    done = "number of transactions actually processed: 4711"
    none = "number of transactions actually processed: 0"
    fine, bad = ("number of failed transactions: 0 (0.000%)", "number of failed transactions: 3")
    lost = "pgbench: error: client 3 aborted in command 1: perhaps the backend died"
    assert transactions.result([done, fine]).outcome is Outcome.PASSED
    assert transactions.result([done, bad]).outcome is Outcome.FAILED
    assert transactions.result([none, fine]).outcome is Outcome.FAILED
    assert transactions.result([lost, done, fine]) == Result(Outcome.FAILED, lost)
    assert transactions.result([]).outcome is Outcome.FAILED


def test_present_ids_are_those_of_sessions_that_have_a_backend() -> None:
    sessions = [
        {"process_id": 4194305, "backend_process_id": 17},
        {"process_id": 18, "backend_process_id": 0},
        {"process_id": 0, "backend_process_id": 19},
    ]
    assert present_ids.as_json(sessions) == '{"4194305": 17}'
