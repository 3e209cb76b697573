"""Takes traces by OTLP over HTTP, and prints a line of JSON for each span.

It runs in a pod of the autoscaler's own image, which has OpenTelemetry's messages, as a text that
this file is: so it imports nothing of the tests.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PORT = 4318


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = MessageToDict(group.resource)
            for scope in group.scope_spans:
                for span in scope.spans:
                    line = {"path": self.path, "resource": resource, "span": MessageToDict(span)}
                    print(json.dumps(line), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """What is printed is spans alone."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Receiver).serve_forever()
