"""Requests to a model behind HTTP, to a real server: what fails, what is repeated, and where none goes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from db.auto_labelling import http_client
from db.auto_labelling.allowed import Address, ModelHost
from db.auto_labelling.http_client import Client, Unanswered, connect
from db.errors import ModelUnavailable
from tests.db.model_backend import Answer, Backend, backend, hang
from tests.waiting import TIMEOUT


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "PAUSES", (0.0, 0.0))


@asynccontextmanager
async def asked(answer: Answer, *, seconds: float = TIMEOUT, user: str = "") -> AsyncIterator[tuple[Client, Backend]]:
    async with backend(answer) as served:
        host = ModelHost.parse(f"{user}{served.host}")
        async with connect(Address(served.url, host), seconds) as client:
            yield client, served


async def test_a_request_gets_json_back() -> None:
    async with asked(lambda *_: {"a": 1}, user="me:pass@") as (client, served):
        assert await client.request("POST", "/predict", {"tasks": []}) == {"a": 1}
        assert served.asked == [("/predict", {"tasks": []})]
        [headers] = served.headers
        assert headers["authorization"].startswith("Basic ")
        assert (headers["accept-encoding"], headers["content-type"]) == ("identity", "application/json")


async def test_what_follows_the_path_stays_behind_it() -> None:
    async with backend(lambda request, _: request.query_string) as served:
        address = Address(f"{served.url}/a/?key=b/", ModelHost.parse(served.host))
        async with connect(address, TIMEOUT) as client:
            assert await client.request("POST", "/predict", {}) == "key=b/"
        assert [path for path, _ in served.asked] == ["/a/predict"]


@pytest.mark.parametrize(
    ("response", "error", "sentence"),
    [
        ({"status": 500}, Unanswered, "status 500"),
        ({"status": 422}, Unanswered, "status 422"),
        ({"text": "no JSON"}, Unanswered, "not JSON"),
        ({"text": "x" * 5_000}, Unanswered, "longer than"),
        ({"text": "[" + "1," * 600 + "1]"}, Unanswered, "more than 500 values"),
        ({"text": "{}", "headers": {"content-encoding": "gzip"}}, Unanswered, "compressed"),
        ({"status": 302, "headers": {"location": "/elsewhere"}}, ModelUnavailable, "redirects"),
        ({"status": 307, "headers": {"location": "http://169.254.169.254/"}}, ModelUnavailable, "redirects"),
        ({"status": 401}, ModelUnavailable, "refuses"),
        ({"status": 404}, ModelUnavailable, "refuses"),
    ],
)
async def test_what_cannot_be_used_is_told_at_once(
    response: dict[str, Any], error: type[Exception], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "MAX_ANSWER", 4_096)
    monkeypatch.setattr(http_client, "MAX_VALUES", 500)
    async with asked(lambda *_: web.Response(**response)) as (client, served):
        with pytest.raises(error, match=sentence):
            await client.request("GET", "/health")
        assert [path for path, _ in served.asked] == ["/health"], "no redirect is followed, and nothing repeated"


async def test_a_busy_model_is_asked_again() -> None:
    statuses = iter((503, 429, 200))
    async with asked(lambda *_: web.json_response([], status=next(statuses))) as (client, served):
        assert await client.request("GET", "/") == []
        assert len(served.asked) == 3
    async with asked(lambda *_: web.Response(status=503)) as (client, served):
        with pytest.raises(ModelUnavailable, match="status 503"):
            await client.request("GET", "/")
        assert len(served.asked) == 3


async def test_a_model_that_does_not_answer_is_not_waited_for() -> None:
    async with asked(lambda request, _: hang(request), seconds=0.05) as (client, _):
        with pytest.raises(Unanswered, match=r"within 0\.05 s"):
            await client.request("GET", "/")


async def test_an_answer_that_breaks_off_is_none() -> None:
    async def cut(request: web.Request, _: object) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "100"})
        await response.prepare(request)
        await response.write(b"[")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with asked(cut) as (client, served):
        with pytest.raises(Unanswered, match="breaks off"):
            await client.request("GET", "/")
        assert len(served.asked) == 1


async def test_little_of_an_answer_is_parsed_before_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that announce another one, without end, kept the event loop from everybody until the time was over."""
    made, sockets = http_client._socket, list[int]()

    def noting(address: Any) -> socket.socket:
        found = made(address)
        sockets.append(found.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        return found

    monkeypatch.setattr(http_client, "_socket", noting)
    async with asked(lambda *_: ["x" * 1_000_000]) as (client, _):
        assert await client.request("GET", "/") == ["x" * 1_000_000]
    [size] = sockets
    assert size <= 2 * http_client.WINDOW  # Linux doubles it


async def test_a_check_needs_no_json() -> None:
    async with asked(lambda *_: web.Response(text="OK")) as (client, _):
        await client.check("/health")


async def test_a_model_that_is_not_there_is_told_after_some_attempts() -> None:
    async with asked(lambda *_: []) as (client, served):
        await client.request("GET", "/")
        url = served.url
    async with connect(Address(url, ModelHost.parse(url.removeprefix("http://"))), 5) as client:
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            await client.request("GET", "/")


# -- names


def answered_with(*hosts: str) -> Any:
    async def getaddrinfo(*_: object, **__: object) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 80)) for host in hosts]

    return getaddrinfo


async def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def closing(*_: object) -> web.Response:
        response = web.json_response([])
        response.force_close()
        return response

    async with backend(closing) as served:
        port = int(served.url.rpartition(":")[2])
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", answered_with("127.0.0.1"))
        url = f"http://models.localhost:{port}"
        async with connect(Address(url, ModelHost("models.localhost", port)), TIMEOUT) as client:
            monkeypatch.setattr(loop, "getaddrinfo", answered_with("192.0.2.1"))
            for _ in range(2):
                await client.request("GET", "/")
            assert len(served.asked) == 2


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254", "fe80::1"),  # noqa: S104
        *(
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ),
        *("fd00:ec2::254", "100.100.100.200", "168.63.129.16"),
    ],
)
async def test_a_name_leads_to_no_address_that_is_only_for_this_machine(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answered_with("10.0.0.1", host))
    with pytest.raises(ModelUnavailable, match="not allowed"):
        async with connect(Address("http://m.example.com:80", ModelHost("m.example.com", 80)), 5):
            pass


async def test_a_name_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fails)
    with pytest.raises(ModelUnavailable, match="has no address"):
        async with connect(Address("http://m.invalid:80", ModelHost("m.invalid", 80)), 5):
            pass
