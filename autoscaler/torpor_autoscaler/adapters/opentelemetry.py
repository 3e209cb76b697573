"""Each transition as an OpenTelemetry trace, for those who have a place for traces already.

Optional: the extra ``otel``, and OpenTelemetry's own environment variables, of which
``OTEL_EXPORTER_OTLP_ENDPOINT`` says where traces go. Without that nothing is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING

from torpor_api.transition import Span, Transition
from torpor_autoscaler.lifecycle.times import seconds

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

SERVICE_NAME = "OTEL_SERVICE_NAME"

CLOSE_SECONDS_MAX = 1.0
"""For what is not sent yet when the autoscaler ends; what comes later is lost. Another autoscaler
leads when this one has ended, and clients may be waiting for it."""


class Traces:
    """Sends them from a thread of its own; its queue is bounded, and what is too much is lost."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("torpor")

    def went(self, told: Transition) -> None:
        """One trace: the transition is its root. Returns at once."""
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        began_ns = int(seconds(told.at) * NS_PER_S)
        attributes: dict[str, str | int] = {
            "torpor.database": told.database,
            "torpor.epoch": told.epoch,
            "torpor.compute": told.compute,
            "torpor.cause": told.cause,
        }
        root = self._tracer.start_span(
            f"torpor.{told.kind}", start_time=began_ns, attributes=attributes
        )
        if told.failure:
            root.set_status(Status(StatusCode.ERROR, told.failure))
        parents = [set_span_in_context(root)]
        for span in told.spans:
            child = self._tracer.start_span(
                span.name,
                context=parents[span.depth],
                start_time=began_ns + int(span.begin_ms * NS_PER_MS),
                attributes=_attributes(span),
            )
            child.end(began_ns + int(span.end_ms * NS_PER_MS))
            parents = [*parents[: span.depth + 1], set_span_in_context(child)]
        root.end(began_ns + int(told.total_ms * NS_PER_MS))

    async def close(self) -> None:
        """Takes some time at most, in which others go on.

        The library's own time limit does not hold: it waits for a collector that is away for as
        long as a request may take. So it waits in a thread that does not outlive the process.
        """
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def send_the_rest() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # The loop may have ended meanwhile.
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=send_the_rest, name="last-traces", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), CLOSE_SECONDS_MAX)


def traces(environment: dict[str, str] | None = None) -> Traces | None:
    """None where nobody wants any, or what sends them is not installed."""
    if not (os.environ if environment is None else environment).get(ENDPOINT):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        log.warning(
            "traces_not_sent",
            extra={"reason": f"there is no {missing.name}: pip install 'torpor[otel]'"},
        )
        return None
    named = {} if os.environ.get(SERVICE_NAME) else {"service.name": "torpor-autoscaler"}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


def _attributes(span: Span) -> dict[str, str | float | bool]:
    return {
        "torpor.where": span.where,
        "torpor.slack_ms": span.slack_ms,
        "torpor.is_critical": span.is_critical,
    }
