"""Whether computes are limited, by what is written where, and what is left of it afterwards."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from pathlib import Path

import pytest

from support.fakes.cgroups import V1Cgroups, V2Cgroups
from torpor_api.messages import AgentSize
from torpor_api.sizes import cpu_milli, memory_bytes
from torpor_cli.local.cgroup_home import surroundings
from torpor_cli.local.limits import limits_of
from torpor_cli.local.state_folder import StateFolder
from unit.cli.limited import (
    OTHER,
    TOP,
    US,
    V1_MOUNTS,
    Machine,
    alone,
    among_others,
    v1,
    v2,
)

GIB = 1 << 30
AGENT = 4711

each_machine = pytest.mark.parametrize("made", [v1, alone, among_others])


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return state_folder(tmp_path / "state")


def state_folder(root: Path) -> StateFolder:
    made = StateFolder(root)
    made.databases.mkdir(parents=True)
    return made


def size(cu: str, refusal: str = "") -> AgentSize:
    wanted = Decimal(cu)
    return AgentSize(
        cpu_milli=cpu_milli(wanted), memory_bytes=memory_bytes(wanted), refusal=refusal
    )


@each_machine
async def test_a_compute_begins_with_one_unit_and_has_the_size_that_is_asked_for(
    made: Callable[[], Machine], folder: StateFolder
) -> None:
    machine = made()
    limits = machine.limits(folder)
    begun = limits.begin("c1")
    assert begun.size == size("1") and not begun.why_unlimited
    assert machine.limits_of_compute() == ("100000", str(4 * GIB))
    await limits.admit("c1", AGENT)
    for told in begun.options[1:]:
        assert str(AGENT) in machine.files.at[Path(told)].processes
    for cu, quota in (("2.5", "250000"), ("0.25", "25000")):
        assert await limits.resize("c1", size("1"), Decimal(cu)) == size(cu)
        assert machine.limits_of_compute() == (quota, str(memory_bytes(Decimal(cu))))


@each_machine
def test_whether_a_process_was_ended_for_want_of_memory_is_known_where_the_kernel_counts(
    made: Callable[[], Machine], folder: StateFolder
) -> None:
    machine = made()
    limits = machine.limits(folder)
    limits.begin("c1")
    assert not limits.has_run_out("c1") and not limits.has_run_out("c2")
    counts = machine.of_memory().files
    name = next(name for name in ("memory.events", "memory.oom_control") if name in counts)
    counts[name] = counts[name].replace("oom_kill 0", "oom_kill 2")
    assert limits.has_run_out("c1")
    counts[name] = "oom_kill_disable 0\nunder_oom 0"
    assert not limits.has_run_out("c1")


@each_machine
async def test_memory_that_is_in_use_is_not_taken_and_what_the_kernel_caches_is(
    made: Callable[[], Machine], folder: StateFolder
) -> None:
    machine = made()
    limits = machine.limits(folder)
    limits.begin("c1")
    await limits.admit("c1", AGENT)
    memory = machine.use_memory(kept_bytes=3 * GIB // 2, cached_bytes=GIB)
    refused = await limits.resize("c1", size("1"), Decimal("0.25"))
    words = "its memory would be limited to 1 GiB, and 1.50 GiB are in use"
    assert refused == size("1", words)
    assert machine.limits_of_compute() == ("100000", str(4 * GIB))
    memory.cached_bytes = 5 * GIB
    assert await limits.resize("c1", refused, Decimal("0.5")) == size("0.5")
    assert memory.used_bytes == 2 * GIB
    if isinstance(machine.files, V2Cgroups):
        memory.files["memory.high"] = "1"  # As one leaves it that was killed in between.
        await limits.resize("c1", size("0.5"), Decimal("0.5"))
        assert memory.files["memory.high"] == "max" and not machine.files.ended


@each_machine
def test_nothing_of_a_compute_is_swapped_out_where_the_kernel_would(
    made: Callable[[], Machine], folder: StateFolder
) -> None:
    """It would not count as in use, and less memory than that would be granted."""
    machine = made()
    machine.limits(folder).begin("c1")
    is_v1 = isinstance(machine.files, V1Cgroups)
    assert machine.compute("memory.swappiness" if is_v1 else "memory.swap.max") == "0"


@each_machine
async def test_where_no_process_may_enter_its_cgroup_the_next_one_is_not_limited(
    made: Callable[[], Machine], folder: StateFolder
) -> None:
    machine = made()
    limits = machine.limits(folder)
    limits.begin("c1")
    machine.files.closed_by = errno.ESRCH  # It has ended by itself, and that says nothing.
    with pytest.raises(ProcessLookupError):
        await limits.admit("c1", AGENT)
    assert limits.begin("c2").size == size("1")
    machine.files.closed_by = errno.EACCES
    with pytest.raises(PermissionError):
        await limits.admit("c2", AGENT)
    begun = limits.begin("c3")
    assert begun.size is None and not begun.options
    assert begun.why_unlimited.startswith("the kernel lets no process into the cgroup ")
    assert begun.why_unlimited.endswith("/c2: Permission denied")


@each_machine
async def test_nothing_is_left_of_one_that_has_ended_nor_of_torpor(
    made: Callable[[], Machine], folder: StateFolder
) -> None:
    machine = made()
    before = deepcopy(machine.files.at)
    limits = machine.limits(folder)
    assert folder.cgroups.read_text()
    for name in ("c1", "c2"):
        limits.begin(name)
    await limits.end("c1")
    assert not any(path.name == "c1" for path in machine.files.at)
    limits.close()
    after = machine.files.at
    assert after.keys() == before.keys() and not folder.cgroups.exists()
    assert [sorted(one.processes) for one in after.values()] == [
        sorted(one.processes) for one in before.values()
    ]


@each_machine
def test_what_a_killed_one_has_left_goes_at_the_next_start_wherever_that_is(
    made: Callable[[], Machine], folder: StateFolder, tmp_path: Path
) -> None:
    machine, other = made(), state_folder(tmp_path / "other")
    machine.limits(folder).begin("c1")
    machine.killed()
    machine.limits(other).begin("c2")
    machine.killed()
    # What is not called as ours is not touched, whoever has written it down.
    folder.cgroups.write_text(folder.cgroups.read_text() + other.cgroups.read_text())
    machine.limits(folder)
    names = {path.name for path in machine.files.at}
    assert "c1" not in names and "c2" in names


async def test_what_somebody_is_still_in_goes_when_nobody_is_any_more(folder: StateFolder) -> None:
    machine = v1()
    limits = machine.limits(folder)
    limits.begin("c1")
    machine.killed()
    await limits.admit("c1", AGENT)
    machine.limits(folder)
    assert "c1" in {path.name for path in machine.files.at} and folder.cgroups.exists()
    machine.killed()
    machine.limits(folder).close()
    assert "c1" not in {path.name for path in machine.files.at} and not folder.cgroups.exists()


def test_root_s_are_beside_all_others_where_ours_has_other_processes(folder: StateFolder) -> None:
    machine = among_others()
    machine.limits(folder).begin("c1")
    (place,) = [path for path in machine.files.at if path.name == "c1"]
    assert place.parent.parent == TOP
    assert machine.files.at[TOP / "system.slice/ssh.service"].processes == [OTHER, US]


def test_ours_is_divided_where_we_are_alone(folder: StateFolder) -> None:
    machine = alone()
    machine.limits(folder).begin("c1")
    ours = TOP / "user.slice/ours.scope"
    (place,) = [path for path in machine.files.at if path.name == "c1"]
    assert place.parent.parent == ours and not machine.files.at[ours].processes
    up = machine.files.at[place.parent / "up"]
    assert up.processes == [US] and int(up.files["cpu.weight"]) > 100


def test_what_others_have_of_ours_they_keep(folder: StateFolder) -> None:
    """Only the root of all may have processes and limited children."""
    machine = v2("", handed_on="cpu")
    machine.limits(folder).close()
    assert machine.files.at[TOP].handed_on == {"cpu"}


def limited_above(file: str, text: str) -> Machine:
    machine = among_others()
    machine.files.at[TOP / "system.slice"].files[file] = text
    return machine


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("cpu.max", "50000 100000"),
        ("cpuset.cpus", "0-1"),
        ("memory.high", str(GIB)),
        ("memory.swap.max", "0"),
        ("io.max", "8:0 rbps=1000 wbps=max riops=max wiops=max"),
    ],
)
def test_no_limit_is_left_behind(file: str, text: str, folder: StateFolder) -> None:
    assert "computes must not leave its limits" in limited_above(file, text).why_not(folder)


def in_a_container() -> Machine:
    """Whose root is shown as if it were the one of all."""
    machine = v2("", OTHER)
    machine.files.at[TOP].files["cgroup.type"] = "domain"
    return machine


def not_delegated() -> Machine:
    machine = v2("user.slice/ours.scope", user=1000)
    machine.files.read_only.add(TOP / "user.slice/ours.scope")
    return machine


def threaded() -> Machine:
    """Which turns out when we have left it already."""
    machine = alone()
    machine.files.at[TOP / "user.slice/ours.scope"].files["cgroup.type"] = "threaded"
    return machine


def of_the_first_version_without_memory() -> Machine:
    machine = v1(user=1000)
    machine.files.read_only.add(TOP / "memory/session")
    return machine


def of_the_first_version_as_a_user() -> Machine:
    machine = v1(user=1000)
    machine.files.read_only |= {TOP / "cpu", TOP / "cpuacct", TOP / "memory/session"}
    return machine


def without_any() -> Machine:
    return Machine(V1Cgroups(), "25 1 254:0 / / rw - ext4 /dev/vda rw", {})


AS_USER = "`systemd-run --user --scope -p Delegate=yes torpor up` has one of its own"
AS_ROOT = "`systemd-run --scope -p Delegate=yes torpor up` has one of its own"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            lambda: v2("login.scope", OTHER, user=1000),
            f"the cgroup /sys/fs/cgroup/login.scope has other processes: {AS_USER}",
        ),
        (
            not_delegated,
            "the cgroup /sys/fs/cgroup/user.slice/ours.scope can't be divided: Permission denied: "
            + AS_USER,
        ),
        (
            lambda: v2("a/b", user=1000, handed_on="memory"),
            "the cgroup /sys/fs/cgroup/a/b has no controller cpu",
        ),
        (
            lambda: limited_above("memory.max", str(GIB)),
            "the cgroup /sys/fs/cgroup/system.slice/ssh.service has other processes, and "
            f"computes must not leave its limits: {AS_ROOT}",
        ),
        (
            in_a_container,
            "the cgroup /sys/fs/cgroup has other processes, and "
            f"computes must not leave its limits: {AS_ROOT}",
        ),
        (
            of_the_first_version_as_a_user,
            "the cgroup /sys/fs/cgroup/cpu can't be divided: Permission denied",
        ),
        (
            threaded,
            "the cgroup /sys/fs/cgroup/user.slice/ours.scope can't be divided: Operation not "
            f"supported: {AS_USER}",
        ),
        (
            of_the_first_version_without_memory,
            "the cgroup /sys/fs/cgroup/memory/session can't be divided: Permission denied",
        ),
        (without_any, "no cgroups with the controllers cpu and memory are to be seen here"),
    ],
)
def test_where_it_may_not_it_says_why(
    made: Callable[[], Machine], words: str, folder: StateFolder
) -> None:
    assert made().why_not(folder) == words


@pytest.mark.parametrize(
    ("listed", "words"),
    [(V1_MOUNTS, "No such file or directory"), ("what is this", "not enough values")],
)
def test_what_can_not_be_read_of_mounts_and_cgroups_keeps_nobody_from_starting(
    listed: str, words: str, folder: StateFolder, tmp_path: Path
) -> None:
    """A kernel may be without cgroups, and a sandbox may show what no kernel would."""
    (tmp_path / "mountinfo").write_text(listed)
    limits = limits_of(folder, V1Cgroups(), lambda: surroundings(tmp_path))
    why = limits.begin("c1").why_unlimited
    assert why.startswith("what the kernel says of mounts and cgroups can't be read: ")
    assert words in why


def test_databases_in_memory_would_count_as_what_their_computes_use(folder: StateFolder) -> None:
    device = folder.databases.stat().st_dev
    machine = v1()
    listed = f"60 25 {os.major(device)}:{os.minor(device)} / /x rw - tmpfs tmpfs rw\n{V1_MOUNTS}"
    machine = Machine(machine.files, listed, machine.around.member_of)
    assert machine.why_not(folder) == f"{folder.databases} is in memory itself (tmpfs)"


async def test_one_that_the_kernel_does_not_take_is_not_limited_and_says_so(
    folder: StateFolder,
) -> None:
    machine = v1()
    machine.files.at[TOP / "cpu"].files["cpu.cfs_quota_us"] = "150000"
    limits = machine.limits(folder)
    limits.begin("c1")
    refused = await limits.resize("c1", size("1"), Decimal(2))
    assert refused == size("1", "the kernel refuses it: Invalid argument")
    machine.files.at[TOP / "cpu"].files["cpu.cfs_quota_us"] = "50000"
    begun = limits.begin("c2")
    assert begun.size is None and begun.why_unlimited.endswith("c2: Invalid argument")
    assert not any(path.name == "c2" for path in machine.files.at)
