"""Who leads, as timelines of two candidates whose clocks are never compared."""

from __future__ import annotations

from torpor_kube.lease import Elector, Look, Record, Take, Terms, record_of

TERMS = Terms()


def record(holder: str, version: str, transitions: int = 0) -> Record:
    return Record(holder, version, TERMS.duration_s, transitions, "then")


def test_the_first_one_creates_it_and_leads_until_its_deadline() -> None:
    elector = Elector("a", TERMS)
    assert not elector.leads(0)
    assert elector.decide(None, 0) == Take("", 0, "")
    elector.took(0)
    assert elector.leads(TERMS.renew_deadline_s - 0.1)
    assert not elector.leads(TERMS.renew_deadline_s)


def test_a_leader_renews_and_keeps_the_time_since_which_it_leads() -> None:
    elector = Elector("a", TERMS)
    assert elector.decide(record("a", "5", 2), 0) == Take("5", 2, "then")


def test_another_one_waits_while_the_record_changes_and_takes_it_when_it_does_not() -> None:
    elector = Elector("b", TERMS)
    assert elector.decide(record("a", "1"), 100) == Look(TERMS.retry_s)
    assert elector.decide(record("a", "2"), 110) == Look(TERMS.retry_s)
    assert elector.decide(record("a", "2"), 110 + TERMS.duration_s - 0.5) == Look(0.5)
    assert elector.decide(record("a", "2"), 110 + TERMS.duration_s) == Take("2", 1, "")


def test_one_that_was_released_is_taken_at_once() -> None:
    assert Elector("b", TERMS).decide(record("", "9", 3), 0) == Take("9", 4, "")


def test_a_leader_steps_down_before_another_may_begin() -> None:
    """From its last renewal on; the other one has seen that no earlier than it was written."""
    leader, other = Elector("a", TERMS), Elector("b", TERMS)
    leader.took(0)
    other.decide(record("a", "1"), 0)
    moments = [moment / 10 for moment in range(300)]
    last_led = max(moment for moment in moments if leader.leads(moment))
    first_taken = min(
        moment for moment in moments if isinstance(other.decide(record("a", "1"), moment), Take)
    )
    assert last_led + TERMS.retry_s < first_taken


def test_a_leader_that_reads_of_another_one_leads_no_more() -> None:
    """It was asleep for longer than the Lease lasts, or a person has given it to another."""
    leader = Elector("a", TERMS)
    leader.took(0)
    leader.decide(record("b", "2"), 1)
    assert not leader.leads(1)


def test_what_is_written_is_read_back() -> None:
    spec = Elector("a", TERMS).spec(Take("1", 4, ""), "2027-01-01T00:00:00.000000Z")
    found = record_of({"metadata": {"resourceVersion": "2"}, "spec": spec})
    assert found == Record("a", "2", TERMS.duration_s, 4, "2027-01-01T00:00:00.000000Z")
