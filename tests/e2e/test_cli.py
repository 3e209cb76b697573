"""The command on a cluster: each verb, by a person with a kubeconfig, and as kubectl's plugin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.database import Database
from e2e.kubectl import WAIT_SECONDS_MAX, Json, until

BIN = Path(sys.executable).parent
"""Where this checkout's own command is installed, and the plugin beside it."""


def torpor(*arguments: str, stdin: str = "") -> str:
    """What it prints. `KUBECONFIG` says which cluster."""
    options = ("--kubeconfig", os.environ["KUBECONFIG"])
    return _run(str(BIN / "torpor"), *options, *arguments, stdin=stdin)


def torpor_json(*arguments: str) -> Json:
    return dict(json.loads(torpor(*arguments, "-o", "json")))


def _run(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS_MAX,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


def named(database: Database) -> str:
    return f"{database.name}.{database.namespace}"


def test_wake_look_move_and_sleep(database: Database) -> None:
    name = named(database)
    assert torpor("resume", name).startswith(f"{name} is awake after ")
    with database.connect(application_name="by-hand") as client, client.transaction():
        client.execute("select 1")
        until(lambda: "transaction" in torpor("why", name), "the reason is named")
        assert "by-hand" in torpor("sessions", name)
        assert torpor_json("sessions", name)["sessions"][0]["application"] == "by-hand"
    status = torpor("status", name)
    assert f"Name:             {name}" in status and "Phase:            Active" in status
    assert "start of postgres" in torpor("critical-chain", name)
    epoch = database.epoch
    moved = torpor_json("switchover", name)
    assert moved["epoch"] == epoch + 1 and moved["compute"]
    told = torpor_json("critical-chain", name, "--kind", "switchover")
    assert (told["epoch"], told["total_ms"]) == (moved["epoch"], moved["pause_ms"])
    assert torpor("plot", name, "--kind", "switchover").startswith("<svg ")
    assert name in torpor("critical-chain", "--slowest", "1000", "--within", "1h")
    assert torpor("suspend", name) == f"{name} is suspended\n"
    assert database.phase == "Suspended"


def test_the_plugin_lists_what_kubectl_does(database: Database) -> None:
    listed = _run("kubectl", "torpor", "list", "-n", database.namespace)
    assert listed.splitlines()[1].split()[:2] == [named(database), "Suspended"]
    found = json.loads(_run("kubectl", "torpor", "list", "-o", "json"))["items"]
    assert named(database) in [
        f"{item['metadata']['name']}.{item['metadata']['namespace']}" for item in found
    ]


def test_apply_connect_and_delete(namespace: str) -> None:
    manifest = {
        "apiVersion": "torpor.dev/v1alpha1",
        "kind": "ServerlessDatabase",
        "metadata": {"name": "shop"},
        "spec": {"idleTimeout": "1h"},
    }
    text = yaml.safe_dump(manifest)
    apply = ("apply", "-n", namespace, "-f", "-")
    assert torpor(*apply, stdin=text) == f"shop.{namespace} created\n"
    assert torpor(*apply, stdin=text) == f"shop.{namespace} unchanged\n"
    uri = torpor("uri", "shop", "-n", namespace)
    assert uri.startswith("postgresql://app:") and f"@shop.{namespace}.svc:5432/app" in uri
    answer = torpor("psql", f"shop.{namespace}", "-At", "-c", "select 6 * 7")
    assert answer == "42\n"
    gone = torpor("delete", "shop", "-n", namespace, "--data")
    assert gone == f"shop.{namespace} is deleted, and all its data\n"
    assert kubectl.find("serverlessdatabase", "shop", namespace) is None


def test_a_person_without_the_role_is_told_what_is_missing(
    database: Database, tmp_path: Path
) -> None:
    """Resources by the rights of their namespace; the autoscaler by those of the release's."""
    space = database.namespace
    kubectl.kubectl("create", "serviceaccount", "ann", "--namespace", space)
    bind = ("create", "rolebinding", "e2e-ann", f"--serviceaccount={space}:ann", "--namespace")
    kubectl.kubectl(*bind, space, "--clusterrole=view")
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(config_of("ann", space)))
    person = (str(BIN / "torpor"), "--kubeconfig", str(own), "-n", space)
    assert "Suspended" in _run(*person, "list")
    refused = subprocess.run(
        [*person, "why", database.name], capture_output=True, text=True, timeout=WAIT_SECONDS_MAX
    )
    assert refused.returncode == 1 and "secrets" in refused.stderr
    assert "can-i" in refused.stderr
    kubectl.kubectl(*bind, NAMESPACE, "--role=torpor-people")
    try:
        assert _run(*person, "why", database.name).startswith(f"{named(database)} is Suspended")
    finally:
        kubectl.delete("rolebinding", "e2e-ann", NAMESPACE)


def config_of(account: str, namespace: str) -> Json:
    """The same cluster, with the token of a ServiceAccount in the place of a person's."""
    config = yaml.safe_load(kubectl.kubectl("config", "view", "--raw", "--minify", "--flatten"))
    token = kubectl.kubectl("create", "token", account, "--namespace", namespace).strip()
    config["users"][0]["user"] = {"token": token}
    return dict(config)
