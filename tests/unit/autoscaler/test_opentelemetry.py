"""A transition as a trace: the same tree, at the same times."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from torpor_api.transition import Span, Transition, TransitionKind
from torpor_autoscaler.adapters.opentelemetry import ENDPOINT, Traces, traces

REQUEST_SECONDS = 20.0
"""Far longer than the autoscaler waits when it ends."""

WAKE = Transition(
    database="shop",
    kind=TransitionKind.RESUME,
    at="2027-01-01T00:00:00.500Z",
    epoch=7,
    compute="c3",
    cause="session 12 of app",
    total_ms=40.0,
    spans=(
        Span(name="tell the agent", where="autoscaler", begin_ms=0, ms=30),
        Span(name="start the compute", where="agent", begin_ms=0, ms=30, depth=1),
        Span(name="start of postgres", where="postgres", begin_ms=5, ms=20, slack_ms=2, depth=2),
        Span(name="first row", where="proxy", begin_ms=30, ms=10),
    ),
)


def sent(told: Transition) -> dict[str, ReadableSpan]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Traces(provider).went(told)
    return {span.name: span for span in exporter.get_finished_spans()}


def test_the_tree_is_the_same() -> None:
    found = sent(WAKE)
    parents = {
        span.name: next(
            (other.name for other in found.values() if span.parent == other.context), None
        )
        for span in found.values()
    }
    assert parents == {
        "torpor.resume": None,
        "tell the agent": "torpor.resume",
        "start the compute": "tell the agent",
        "start of postgres": "start the compute",
        "first row": "torpor.resume",
    }


def test_times_and_facts_are_the_same() -> None:
    root, start = (sent(WAKE)[name] for name in ("torpor.resume", "start of postgres"))
    assert root.start_time is not None and root.end_time is not None
    assert root.end_time - root.start_time == 40_000_000
    assert start.start_time == root.start_time + 5_000_000
    assert root.attributes is not None and start.attributes is not None
    assert root.attributes["torpor.database"] == "shop" and root.attributes["torpor.epoch"] == 7
    assert start.attributes["torpor.slack_ms"] == 2 and not start.attributes["torpor.is_critical"]


def test_one_that_failed_is_an_error() -> None:
    failed = sent(WAKE.model_copy(update={"failure": "no space left"}))["torpor.resume"]
    assert not failed.status.is_ok and failed.status.description == "no space left"


def test_nobody_is_sent_anything_unasked() -> None:
    assert traces({}) is None


@pytest.fixture
def collector() -> Iterator[tuple[str, list[str]]]:
    paths: list[str] = []

    class Collect(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collect)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_collector_gets_them_when_the_autoscaler_ends(
    collector: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, paths = collector
    monkeypatch.setenv(ENDPOINT, url)
    found = traces()
    assert found is not None
    found.went(WAKE)
    await found.close()
    assert paths == ["/v1/traces"]


class NeverAnswers(InMemorySpanExporter):
    """As a collector that is away, for the length of a request."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over, self.gave_up = Event(), Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if not self.is_over.wait(REQUEST_SECONDS):
            self.gave_up.set()
        return SpanExportResult.FAILURE


async def test_a_collector_that_is_away_holds_up_no_end() -> None:
    exporter, provider = NeverAnswers(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    found, others = Traces(provider), asyncio.Event()
    found.went(WAKE)
    asyncio.get_running_loop().call_soon(others.set)
    await found.close()
    try:
        assert others.is_set(), "nobody else had a turn"
        assert not exporter.gave_up.is_set(), "it has waited for the collector"
    finally:
        exporter.is_over.set()
        await asyncio.to_thread(_until_ended, "last-traces")


def _until_ended(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join()


def test_its_service_is_called_as_its_own_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=a-1")
    assert _resource()["service.name"] == "torpor-autoscaler"
    assert _resource()["k8s.pod.name"] == "a-1"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "torpor-eu")
    assert _resource()["service.name"] == "torpor-eu"


def _resource() -> Mapping[str, Any]:
    found = traces()
    assert found is not None
    provider = found._provider
    provider.shutdown()
    return provider.resource.attributes
