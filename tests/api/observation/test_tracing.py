"""Traces: of operations, their statements and calls of storage, sent as OpenTelemetry does."""

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.command_errors import CommandError
from api.observation import tracing
from api.observation.observer import observing
from api.settings import Settings
from db.postgres.engine import Database
from tests.api.graphql.toy_schema import ToySchema
from tests.api.test_app import CREATE, PAGE, followed, images, sees_images
from tests.client import Client, serving, token
from tests.waiting import TIMEOUT, wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass(slots=True)
class Collector:
    """A receiver of OTLP over HTTP."""

    url: str
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def service_names(self) -> set[str]:
        return {
            attribute.value.string_value
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def below(self, parent: Span) -> list[Span]:
        children = [span for span in self.spans if span.parent_span_id == parent.span_id]
        assert {span.trace_id for span in children} <= {parent.trace_id}
        return sorted(children, key=lambda span: span.start_time_unix_nano)


def attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Named to servers by OpenTelemetry's own variable."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            found.headers.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2")
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.with_changes(trace_share=1.0)


async def test_an_operation_its_statements_and_its_calls_of_storage(
    settings: Settings, database: Database, collector: Collector, tmp_path: Path
) -> None:
    async with serving(settings) as url:
        client = Client(url, await token(database, name="ann"))
        created = await client.execute(CREATE, {"path": images(tmp_path / "pets", 3)})
        dataset_id = created["createDataset"]["dataset"]["id"]
        await followed(client, dataset_id)
        named = PAGE.replace("query (", "query Page (")
        page = await client.execute(named, {"id": dataset_id}, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        await sees_images(page["dataset"]["samples"]["nodes"][0])

    [read] = collector.named("query Page")
    assert (read.trace_id.hex(), read.parent_span_id.hex()) == (TRACE, PARENT)
    assert read.kind == Span.SPAN_KIND_SERVER
    assert attributes(read) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Page",
        "labelgraph.code": "OK",
    }
    [statement] = [span for span in collector.below(read) if span.name == "SELECT"]
    assert attributes(statement)["db.system.name"] == "postgresql"
    assert str(attributes(statement)["db.query.text"]).startswith("SELECT")
    assert read.start_time_unix_nano <= statement.start_time_unix_nano < statement.end_time_unix_nano

    [written] = collector.named("mutation")
    names = [span.name for span in collector.below(written)]
    assert "INSERT" in names, "by the ORM"
    assert names[-1] == "SELECT", "the payload, read after the commit"
    assert "COMMIT" in names
    statements = {span.name for span in collector.spans if "db.query.text" in attributes(span)}
    assert {name for name in statements if not name.isalpha() or not name.isupper()} == set(), "no comments or signs"

    [job] = collector.named("job SYNC")
    assert attributes(job)["labelgraph.code"] == "SUCCEEDED"
    assert {"directory pages", "directory heads"} <= {span.name for span in collector.below(job)}

    [thumbnail] = collector.named("GET /thumbnails/{source}/{size}")
    assert attributes(thumbnail)["labelgraph.code"] == "200"
    assert "directory read" in {span.name for span in collector.below(thumbnail)}

    assert collector.service_names == {"labelgraph"}
    assert {(each["path"], each["api-key"]) for each in collector.headers} == {("/v1/traces", "hunter2")}


async def test_no_value_of_a_client_is_in_a_trace(
    settings: Settings, database: Database, collector: Collector, tmp_path: Path
) -> None:
    folder = images(tmp_path / "planted", 2)
    async with serving(settings) as url:
        client = Client(url, await token(database))
        created = await client.execute(CREATE.replace("pets", "planted-name"), {"path": folder})
        await followed(client, created["createDataset"]["dataset"]["id"])
        await client.post("query Q($n: String!) { dataset(by: {name: $n}) { id } }", {"n": "planted-variable"})
        await client.post('{ dataset(by: {name: "planted-literal"}) { id } }')
    sent = b"".join(collector.bodies)
    assert collector.named("query Q")
    assert b"planted" not in sent
    assert client.token is not None
    assert client.token.encode() not in sent


async def test_an_error_is_marked_and_says_no_more_than_its_class(
    settings: Settings, database: Database, collector: Collector
) -> None:
    async with serving(settings.with_changes(worker=False), ToySchema()) as url:
        client = Client(url, await token(database))
        await client.post("query Broken { broken }")
        await client.post("query Refused { refused }")
    [broken], [refused] = collector.named("query Broken"), collector.named("query Refused")
    assert (broken.status.code, attributes(broken)["labelgraph.code"]) == (Status.STATUS_CODE_ERROR, "INTERNAL_ERROR")
    assert (refused.status.code, attributes(refused)["labelgraph.code"]) == (Status.STATUS_CODE_UNSET, "CONFLICT")
    assert b"hunter2 at" not in b"".join(collector.bodies)


@pytest.mark.parametrize(
    ("share", "header", "traced"),
    [
        (1.0, None, True),
        (1e-9, None, False),
        (1.0, f"00-{TRACE}-{PARENT}-00", False),
        (1e-9, f"00-{TRACE}-{PARENT}-01", True),
        (1e-9, f"00-{TRACE}-{PARENT}-03", True),
        (1e-9, f"00-{'0' * 32}-{PARENT}-01", False),
        (1e-9, "00-x-y-01", False),
    ],
)
async def test_the_callers_word_goes_before_the_share(
    settings: Settings, database: Database, collector: Collector, share: float, header: str | None, traced: bool
) -> None:
    async with serving(settings.with_changes(worker=False, trace_share=share), ToySchema()) as url:
        client = Client(url, await token(database))
        await client.post("query Q { hello }", headers={} if header is None else {"traceparent": header})
    assert bool(collector.named("query Q")) == traced


async def test_operations_at_the_same_time_keep_their_statements_apart(
    settings: Settings, database: Database, collector: Collector
) -> None:
    documents = {f"Q{number}": f"query Q{number} {{ a{number}: datasets {{ totalCount }} }}" for number in range(12)}
    async with serving(settings.with_changes(worker=False)) as url:
        client = Client(url, await token(database))
        await client.post("{ viewer { scope } }")  # the token is looked up once
        await asyncio.gather(*(client.execute(document) for document in documents.values()))
    for name in documents:
        [operation] = collector.named(f"query {name}")
        texts = [str(attributes(span)["db.query.text"]) for span in collector.below(operation)]
        assert len([text for text in texts if f"a{name[1:]}" in text]) == len(texts) == 1


async def test_the_spans_of_one_trace_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "BatchSpanProcessor", SimpleSpanProcessor)
    made = tracing.Tracing(exporter, 1.0)
    trace = made.begin("job SYNC", {})
    assert trace is not None
    for _ in range(tracing.MAX_CHILDREN + 7):
        made.add_statement("SELECT 1", 0.001, None)
    trace.end("SUCCEEDED", is_error=False)
    made.add_statement("SELECT 2", 0.001, None)
    spans = exporter.get_finished_spans()
    assert len(spans) == tracing.MAX_CHILDREN + 1
    assert spans[-1].attributes == {"labelgraph.code": "SUCCEEDED", "labelgraph.spans_omitted": 7}


async def test_a_receiver_that_does_not_answer_delays_neither_requests_nor_the_end(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    monkeypatch.setattr(tracing, "FLUSH_SECONDS", 0.1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and reads nothing
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        async with asyncio.timeout(TIMEOUT):
            async with serving(settings.with_changes(worker=False), ToySchema()) as url:
                client = Client(url, await token(database))
                assert await client.execute("query Q { hello }") == {"hello": "hello world"}
            await wait_until(
                lambda: not any(each.name == "OtelBatchSpanRecordProcessor" for each in threading.enumerate())
            )


async def test_without_its_packages_the_setting_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "api.observation.tracing")
    monkeypatch.delattr("api.observation.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with pytest.raises(CommandError, match=r"LABELGRAPH_TRACE_SHARE .*requirements-tracing\.txt"):
        async with observing(settings):
            pass
