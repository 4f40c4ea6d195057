"""Request ids: in the answer's header, in the log, and in the errors that an operator hears of."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.logs import JsonLines
from api.request_ids import identify
from tests.api.connections.raw_connection import GET, raw_connection
from tests.api.graphql.test_websocket import opened
from tests.client import Client

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
MADE = re.compile(r"[0-9a-f]{16}")
HOSTILE = [
    b"",
    b"a" * 65,
    b"two words",
    b"a\x1b[31m",
    b'"}{"level":"info"',
    b"a;b",
    "ä".encode(),
    b"\xff",
    b"$(id)",
]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the server logs, as it would on stderr."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield text
    logging.getLogger().removeHandler(handler)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("id", ["a", "A" * 64, "01JD-x_y.z~:+/=@", "5f4dcc3b-5aa7-65d6-1d83-27deb882cf99"])
async def test_the_id_of_a_client_is_sent_back(client: Client, id: str) -> None:
    assert (await client.post("{ hello }", headers={"x-request-id": id})).headers["x-request-id"] == id


async def test_each_request_without_one_gets_its_own(client: Client) -> None:
    ids = [(await client.post("{ hello }")).headers["x-request-id"] for _ in range(3)]
    assert all(map(MADE.fullmatch, ids))
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/images/1.jpg", 404), ("/nothing", 404), ("/thumbnails/1/2", 404)]
)
async def test_whatever_the_answer_is_it_has_the_id(stranger: Client, path: str, status: int) -> None:
    answer = await stranger.request("GET", path, headers={"x-request-id": "mine"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (status, "mine")


async def test_it_is_the_trace_that_the_request_belongs_to_unless_it_has_an_id(client: Client) -> None:
    traced = await client.post("{ hello }", headers={"traceparent": TRACEPARENT})
    assert traced.headers["x-request-id"] == TRACE
    both = await client.post("{ hello }", headers={"traceparent": TRACEPARENT, "x-request-id": "mine"})
    assert both.headers["x-request-id"] == "mine"


@pytest.mark.parametrize("value", HOSTILE)
def test_what_is_no_id_is_replaced(value: bytes) -> None:
    assert MADE.fullmatch(identify([(b"x-request-id", value)]).decode())


@pytest.mark.parametrize(
    "value",
    [
        TRACEPARENT.upper(),
        TRACEPARENT[:-1],
        "ff" + TRACEPARENT[2:],
        TRACEPARENT.replace(TRACE, "0" * 32),
        TRACEPARENT.replace("b7ad6b7169203331", "0" * 16),
        TRACEPARENT + "\n",
        f"{TRACEPARENT}x",
    ],
)
def test_what_is_no_trace_is_ignored(value: str) -> None:
    assert MADE.fullmatch(identify([(b"traceparent", value.encode())]).decode())


def test_a_later_version_of_traceparent_may_have_more_fields() -> None:
    assert identify([(b"traceparent", f"01{TRACEPARENT[2:]}-more".encode())]) == TRACE.encode()


async def test_an_internal_error_and_its_line_in_the_log_name_the_request(client: Client, log: io.StringIO) -> None:
    answer = await client.post("{ broken }", headers={"x-request-id": "mine"})
    [error] = answer.json()["errors"]
    assert error["extensions"].keys() == {"code", "reference", "requestId"}
    assert error["extensions"]["requestId"] == "mine"
    [line] = [line for line in lines(log) if error["extensions"]["reference"] in line["message"]]
    assert line["requestId"] == "mine"


async def test_what_is_no_request_has_no_id_of_another(client: Client, log: io.StringIO) -> None:
    async with raw_connection(client.url) as raw:
        raw.writer.write(GET + b"no request\r\n\r\n")
        assert await raw.status() == 200
        await raw.closed()
    [line] = [line for line in lines(log) if line["message"] == "Invalid HTTP request received."]
    assert "requestId" not in line


async def test_hostile_ids_never_reach_the_log(client: Client, log: io.StringIO) -> None:
    hostile = [value for value in HOSTILE if b"\x1b" not in value]  # which the parser refuses
    for value in hostile:
        await client.post("{ broken }", headers={"x-request-id": value})
    ids = [line["requestId"] for line in lines(log) if line["logger"] == "labelgraph.errors"]
    assert len(ids) == len(hostile)
    assert all(map(MADE.fullmatch, ids))


async def test_each_operation_of_a_socket_has_the_id_of_the_handshake_and_its_number(
    client: Client, log: io.StringIO
) -> None:
    async with opened(client, additional_headers={"x-request-id": "mine"}) as socket:
        await socket.greet(client.headers)
        errors = []
        for operation in ("x", "y"):
            await socket.subscribe(operation, "{ broken }")
            errors += (await socket.receive())["payload"]["errors"]
            assert (await socket.receive())["type"] == "complete"
    assert [error["extensions"]["requestId"] for error in errors] == ["mine-1", "mine-2"]
    assert [line["requestId"] for line in lines(log) if line["logger"] == "labelgraph.errors"] == ["mine-1", "mine-2"]
