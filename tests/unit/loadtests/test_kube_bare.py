"""The pod of a bare Postgres: like a compute's, with all that its program imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from rig import kube_bare

COMPUTE: dict[str, Any] = {
    "nodeName": "n1",
    "containers": [
        {
            "name": "compute",
            "image": "torpor/compute:1",
            "imagePullPolicy": "IfNotPresent",
            "args": ["--compute", "c"],
            "resources": {"limits": {"cpu": "1"}},
            "securityContext": {"readOnlyRootFilesystem": True},
            "volumeMounts": [
                {"name": "volumes", "mountPath": "/volumes"},
                {"name": "tls", "mountPath": "/etc/torpor/tls"},
            ],
        }
    ],
    "volumes": [{"name": "volumes"}, {"name": "tls"}],
}


def test_it_is_on_the_same_node_with_the_same_image_and_limits_and_without_the_certificate() -> (
    None
):
    spec = kube_bare.sleeping_pod("bare", COMPUTE)["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": "n1"}
    (container,) = spec["containers"]
    model = COMPUTE["containers"][0]
    for part in ("image", "resources", "securityContext"):
        assert container[part] == model[part]
    assert "args" not in container
    assert [mount["name"] for mount in container["volumeMounts"]] == ["volumes"]
    assert [volume["name"] for volume in spec["volumes"]] == ["volumes"]


def test_its_program_finds_everything_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "rig").mkdir()
    for name in kube_bare.MODULES:
        (tmp_path / "rig" / name).write_text((kube_bare.RIG / name).read_text())
    done = subprocess.run(
        [sys.executable, str(tmp_path / "rig" / "bare_in_pod.py")], capture_output=True, text=True
    )
    assert "ModuleNotFoundError" not in done.stderr
    assert "not enough values" in done.stderr  # No data directory was named.
