"""What is read of the kernel's lists of mounts and of the cgroups of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from torpor_cli.local.mounts import kind_of, memberships, mounts, v1_folder, v2_folder

DISK = "25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"
MEMORY = r"60 25 0:22 / /a\040b rw - tmpfs tmpfs rw,size=1g"
V2 = "31 25 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
CPU = "33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
CONTAINER = "33 31 0:29 /docker/ab /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"


def of(*lines: str) -> list:  # type: ignore[type-arg]
    return mounts("\n".join(lines))


@pytest.mark.parametrize(("device", "kind"), [("254:0", "ext4"), ("0:22", "tmpfs"), ("0:99", "")])
def test_a_device_number_tells_the_kind_of_file_system(device: str, kind: str) -> None:
    assert kind_of(of(DISK, MEMORY), device) == kind


def test_blanks_in_a_path_are_written_as_numbers() -> None:
    assert of(MEMORY)[0].point == Path("/a b")


def test_a_mount_may_have_no_source() -> None:
    assert kind_of(of("36 35 0:44 / /mnt rw - tmpfs  rw,size=1k"), "0:44") == "tmpfs"


def test_the_second_version_has_one_folder() -> None:
    around = of(DISK, V2), memberships("0::/user.slice/a:b.scope\n")
    assert v2_folder(*around) == Path("/sys/fs/cgroup/user.slice/a:b.scope")
    assert v1_folder(*around, "cpu") is None


def test_the_first_version_has_one_by_controller() -> None:
    member_of = memberships("4:cpu,cpuacct:/bench\n1:name=systemd:/x\n0::/\n")
    for controller in ("cpu", "cpuacct"):
        folder = v1_folder(of(CPU), member_of, controller)
        assert folder == Path("/sys/fs/cgroup/cpu,cpuacct/bench")
    assert v1_folder(of(CPU), member_of, "memory") is None
    assert v2_folder(of(CPU), member_of) is None


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/docker/ab", "."), ("/docker/ab/c", "c"), ("/docker/other", None), ("/../x", None)],
)
def test_a_container_may_be_shown_a_part_of_a_hierarchy(path: str, shown: str | None) -> None:
    found = v1_folder(of(CONTAINER), {"cpu": path}, "cpu")
    assert found == (None if shown is None else Path("/sys/fs/cgroup/cpu,cpuacct") / shown)
