"""The Host header: a name that is not ours appears in no URL, and no page under it is served."""

import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from api.allowed_hosts import AllowedHosts
from api.settings import Settings
from db.postgres.engine import Database
from schema.errors import Refused
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token

QUERY = "{ hello }"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, data_dir=tmp_path, worker=False)


@pytest.fixture
async def client(settings: Settings, database: Database) -> AsyncIterator[Client]:
    async with serving(settings, ToySchema()) as url:
        yield Client(url, await token(database), 60)


async def refused(client: Client, **headers: str | bytes) -> str | None:
    answer = await client.post(QUERY, headers={name.replace("_", "-"): value for name, value in headers.items()})
    if answer.status_code == 200:
        assert answer.json() == {"data": {"hello": "hello world"}}
        return None
    assert answer.status_code == 400
    return str(answer.json()["errors"][0]["message"])


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "6.6.6.6", "", "[::2]", "localhost..", "a" * 254],
)
async def test_a_name_that_is_not_ours_is_refused_with_the_setting_that_would_allow_it(
    client: Client, host: str
) -> None:
    message = await refused(client, host=host)
    assert message is not None
    assert "LABELGRAPH_HOSTS" in message


@pytest.mark.parametrize("hosts", [(), ("*",)])
async def test_what_is_not_one_host_with_or_without_a_port_is_refused_whatever_names_are_allowed(
    settings: Settings, database: Database, hosts: tuple[str, ...]
) -> None:
    async with serving(settings.with_changes(hosts=hosts), ToySchema()) as url:
        client = Client(url, await token(database), 60)
        for host in (
            *("localhost:@evil.example", "localhost:80@evil.example", "[::1]@evil.example", "[::1].evil.example"),
            *(
                "localhost:80/",
                "localhost/a",
                "localhost:123456",
                "[]",
                b"localhost\xa0",
                "a" * 255,
                "[" + "1" * 254 + "]",
            ),
        ):
            assert "one name or address" in str(await refused(client, host=host)), host


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]:80", "localhost.", "localhost:"])
async def test_this_machine_is_reached_by_its_own_names(client: Client, host: str) -> None:
    assert await refused(client, host=host) is None


async def test_a_forwarded_name_is_not_believed(client: Client) -> None:
    assert await refused(client, x_forwarded_host="evil.example") is None


async def test_the_rule_for_sockets_and_streams_is_the_same(client: Client) -> None:
    headers = {"host": "evil.example", "accept": "text/event-stream"}
    answer = await client.post("subscription { counter(to: 1) }", headers=headers)
    assert answer.status_code == 400
    protocols = [Subprotocol("graphql-transport-ws")]
    server = httpx2.URL(client.url)
    with pytest.raises(InvalidStatus) as raised:
        async with connect("ws://evil.example/graphql", subprotocols=protocols, host=server.host, port=server.port):
            pass
    response = raised.value.response
    assert response.status_code == 400
    assert "LABELGRAPH_HOSTS" in json.loads(response.body)["errors"][0]["message"]


async def test_names_of_the_settings_are_taken(settings: Settings, database: Database) -> None:
    async with serving(settings.with_changes(hosts=("Labels.LAN",)), ToySchema()) as url:
        client = Client(url, await token(database), 60)
        assert await refused(client, host="labels.lan:8000") is None
        assert await refused(client, host="evil.example") is not None


@pytest.mark.parametrize("change", [{"hosts": ("*",)}, {"public_url": "https://labels.example"}])
async def test_where_urls_begin_otherwise_or_anything_goes_no_name_is_refused(
    settings: Settings, database: Database, change: dict[str, object]
) -> None:
    async with serving(settings.with_changes(**change), ToySchema()) as url:
        assert await refused(Client(url, await token(database), 60), host="evil.example") is None


async def test_monitors_may_ask_under_any_name(client: Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await client.request("GET", path, headers={"host": "10.1.2.3"})).status_code == 200


def test_the_address_that_was_connected_to_is_a_name_and_two_names_are_none() -> None:
    hosts = AllowedHosts.of(Settings())
    for headers, refusal in (
        ([b"192.168.1.5:8000"], None),
        ([b"192.168.1.6"], "LABELGRAPH_HOSTS"),
        ([b"localhost", b"localhost"], "one name"),
    ):
        scope = {"type": "http", "server": ("192.168.1.5", 8000), "headers": [(b"host", host) for host in headers]}
        with nullcontext() if refusal is None else pytest.raises(Refused, match=refusal):
            hosts.check(scope)
