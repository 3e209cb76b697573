"""The fleet as people look at it on a cluster: tree, logs, the operator console, the dashboard."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from urllib.parse import urlsplit

from e2e.database import Database
from e2e.kubectl import WAIT_SECONDS_MAX, Json, until
from e2e.test_cli import BIN, named, torpor, torpor_json


def test_the_tree_shows_what_depends_on_what(database: Database) -> None:
    name = named(database)
    with database.connect(application_name="in-the-tree") as client:
        client.execute("select 1")
        until(lambda: "session/" in torpor("tree", name), "its session is in the tree")
        lines = torpor("tree", name, "--ascii").splitlines()
        assert lines[0].startswith("pool/default")
        assert any(f"database/{name}" in line and "Active" in line for line in lines)
    compute = database.status["compute"]
    assert torpor_json("get", f"compute/{compute}")["database"] == name
    assert f"database/{name}" in torpor("get", "databases", "-o", "name")
    assert "database system is ready" in torpor("logs", name)


def test_the_operator_console_is_reached_by_its_name(database: Database) -> None:
    name = named(database)

    def asked(sql: str) -> str:
        return torpor("psql", "torpor", "-At", "-c", sql)

    assert name in [line.split("|")[0] for line in asked("SHOW DATABASES").splitlines()]
    assert asked(f'RESUME "{name}"').strip()
    until(lambda: database.phase == "Active", "it is awake")
    assert asked(f'SUSPEND "{name}"').strip()
    assert database.phase == "Suspended"


def test_the_dashboard_lets_a_browser_in_through_the_api_server(database: Database) -> None:
    name = named(database)
    with _dashboard() as link:
        place, _, once = link.partition("/#enter=")
        browser = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar()), urllib.request.ProxyHandler({})
        )
        assert b"<html" in browser.open(f"{place}/", timeout=WAIT_SECONDS_MAX).read()
        ticket = json.loads(_post(browser, f"{place}/api/enter", {"link": once}))["ticket"]
        browser.addheaders = [("Torpor-Ticket", ticket)]
        story = json.load(browser.open(f"{place}/api/databases/{name}", timeout=WAIT_SECONDS_MAX))
        assert name in json.dumps(story)
        _post(browser, f"{place}/api/databases/{name}/resume", {})
        until(lambda: database.phase == "Active", "it is awake")


def _post(browser: urllib.request.OpenerDirector, url: str, body: Json) -> bytes:
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "Origin": f"{parts.scheme}://{parts.netloc}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with browser.open(request, timeout=WAIT_SECONDS_MAX) as answer:
        assert answer.status < 300
        told: bytes = answer.read()
        return told


@contextmanager
def _dashboard() -> Iterator[str]:
    """Its link, for as long as the command runs that carries it."""
    argv = [str(BIN / "torpor"), "--kubeconfig", os.environ["KUBECONFIG"], "dashboard"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()  # Ctrl-C is heard by nobody whose shell has put it into the background.
        process.wait(WAIT_SECONDS_MAX)
        if process.stdout is not None:
            process.stdout.close()
