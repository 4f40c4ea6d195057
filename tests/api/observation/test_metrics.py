"""What a server and a worker count, and who may read it."""

import asyncio
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.routing import Route, WebSocketRoute

from api import worker
from api.app import create_app
from api.command_errors import CommandError
from api.observation.metrics import ROUTES
from api.observation.names import MAX_NAMES, OTHER, SHARE
from api.observation.observer import observing
from api.settings import Settings
from db.postgres import engine
from db.postgres.engine import Database
from tests.api.graphql.test_websocket import opened
from tests.api.graphql.toy_schema import ToySchema
from tests.api.observation.conftest import Prometheus
from tests.api.test_app import CREATE, PAGE, followed, images, sees_images
from tests.client import NO_DATABASE, Client, serving, token
from tests.compose import ROOT
from tests.waiting import wait_until


async def test_a_dataset_from_its_sync_to_its_thumbnails(
    client: Client, prometheus: Prometheus, tmp_path: Path
) -> None:
    before = await prometheus.scrape()
    assert before.get("jobs", kind="SYNC", status="QUEUED") == 0
    created = await client.execute(CREATE, {"path": images(tmp_path / "pets", 6)})
    dataset_id = created["createDataset"]["dataset"]["id"]
    await followed(client, dataset_id)
    named = PAGE.replace("query (", "query Page (")
    pages = [await client.execute(named, {"id": dataset_id}) for _ in range(3)]
    for sample in pages[0]["dataset"]["samples"]["nodes"]:
        await sees_images(sample)

    found = await prometheus.scrape()
    assert found.get("operations_total", operation="Page", code="OK") == 3
    assert found.get("operations_total", operation="(anonymous)", code="OK") == 2, "createDataset, and the subscription"
    assert found.get("operation_seconds_count", operation="Page") == 3
    assert found.get("operation_seconds_sum", operation="Page") > 0
    assert found.get("subscription_events_total") >= 1
    assert found.get("subscriptions") == 0
    assert found.get("jobs_ended_total", kind="SYNC", outcome="SUCCEEDED") == 1
    assert found.get("job_seconds_count", kind="SYNC") == 1
    assert found.get("storage_objects_total", store="directory", operation="pages") == 7, (
        "files scanned, the label file too"
    )
    assert found.get("storage_objects_total", store="directory", operation="heads") >= 6, "images read"
    assert found.get("storage_bytes_total", store="directory", operation="heads") > 0
    assert found.get("decoded_images_total", of="server") == 6
    assert found.get("http_responses_total", route="/thumbnails", status="200") == 6
    assert found.get("http_response_seconds_count", route="/thumbnails") == 6
    assert found.get("cache_lookups_total", cache="documents", result="hit") >= 2
    assert found.get("cache_lookups_total", cache="plans", result="miss") >= 1
    assert found.get("cache_lookups_total", cache="plans", result="hit") >= 2
    assert found.get("database_up") == 1
    assert found.total("database_connections", pool="read") >= 1
    assert found.get("database_waiting", pool="read") == found.get("database_waiting", pool="write") == 0
    assert found.get("slots", limit="operations", state="running") == 0
    assert found.get("event_loop_delay_seconds_count") > 0
    assert found.values["process_open_fds", frozenset()] > 0
    guide = (ROOT / "docs" / "deployment.md").read_text()
    shown = {re.sub("_(bucket|sum|count)$", "", name.removeprefix("labelgraph_")) for name, _ in found.values}
    assert {
        name for name in shown if not name.startswith(("process_", "python_")) and f"`{name}`" not in guide
    } == set()


def test_each_route_is_counted_under_its_own_name() -> None:
    app = create_app(Settings(database_url=NO_DATABASE))
    paths = {route.path for route in app.routes if isinstance(route, Route | WebSocketRoute)}
    assert {path.split("/")[1] for path in paths} - {""} == ROUTES


async def test_what_is_not_answered_is_counted_by_its_code(client: Client, prometheus: Prometheus) -> None:
    await Client(client.url).post("query Secret { viewer { scope } }")
    await client.post("query Broken {")
    await client.post("query Nothing { nothing }")
    await client.request(content=b"{", headers={"content-type": "application/json"})
    await client.post("query Large { datasets(first: 5000) { totalCount } }")
    found = await prometheus.scrape()
    counts = {
        (dict(labels)["operation"], dict(labels)["code"]): value
        for (name, labels), value in found.values.items()
        if name == "labelgraph_operations_total"
    }
    assert counts == {
        ("(refused)", "UNAUTHENTICATED"): 1,
        ("(refused)", "GRAPHQL_PARSE_FAILED"): 1,
        ("(refused)", "GRAPHQL_VALIDATION_FAILED"): 1,
        ("(refused)", "BAD_REQUEST"): 1,
        ("Large", "VALIDATION_FAILED"): 1,
    }
    assert "Secret" not in found.text
    assert "Nothing" not in found.text
    assert found.get("http_responses_total", route="/graphql", status="401") == 1


async def test_clients_cannot_add_series_without_end(
    settings: Settings, database: Database, prometheus: Prometheus
) -> None:
    settings = settings.with_changes(worker=False)
    async with serving(settings, ToySchema()) as url:
        client = Client(url, await token(database))
        for number in range(MAX_NAMES // SHARE + 30):
            await client.post(f"query Name{number} {{ hello }}")
            await client.request("GET", f"/path{number}")
        await client.post(f"query {'x' * 1_000} {{ hello }}")
        found = await prometheus.scrape()
    assert len(found.labels("operations_total", "operation")) == MAX_NAMES // SHARE + 1
    assert found.get("operations_total", operation=OTHER, code="OK") == 31
    assert found.labels("http_responses_total", "route") == {"/graphql", OTHER}


async def test_operations_at_the_same_time_are_all_counted_while_metrics_are_read(
    settings: Settings, database: Database, prometheus: Prometheus
) -> None:
    async with serving(settings.with_changes(worker=False), ToySchema()) as url:
        client, done = Client(url, await token(database)), asyncio.Event()

        async def read() -> list[float]:
            counts = []
            while not done.is_set():
                counts.append((await prometheus.scrape()).total("operations_total"))
            return counts

        reading = asyncio.create_task(read())
        documents = ["query A { hello }", "query B { refused }", "query C { broken }"]
        for _ in range(5):
            await asyncio.gather(*(client.post(document) for document in documents for _ in range(5)))
        done.set()
        counts = await reading
        found = await prometheus.scrape()
    assert counts == sorted(counts)
    assert found.get("operations_total", operation="A", code="OK") == 25
    assert found.get("operations_total", operation="B", code="CONFLICT") == 25
    assert found.get("operations_total", operation="C", code="INTERNAL_ERROR") == 25
    assert found.total("operation_seconds_count") == 75


async def test_what_is_open_now(settings: Settings, database: Database, prometheus: Prometheus) -> None:
    schema = ToySchema()
    async with serving(settings.with_changes(worker=False), schema) as url:
        client = Client(url, await token(database))
        async with opened(client) as socket:
            await socket.greet(client.headers)
            await socket.subscribe("1", "subscription S { forever }")
            await socket.subscribe("2", "query Q { slow(seconds: 300) }")
            await wait_until(lambda: schema.slow == 1)
            found = await prometheus.scrape()
            assert (found.get("streams"), found.get("subscriptions")) == (1, 1)
            assert found.get("slots", limit="operations", state="running") == 1

        async def is_over() -> bool:
            return (await prometheus.scrape()).get("streams") == 0

        await wait_until(is_over)
        found = await prometheus.scrape()
    assert found.get("subscriptions") == 0
    assert found.get("operations_total", operation="Q", code="CANCELED") == 1


async def test_a_worker_of_its_own_is_read_at_its_own_port(
    settings: Settings, database_url: str, prometheus: Prometheus, tmp_path: Path
) -> None:
    stop = asyncio.Event()
    async with (
        serving(settings.with_changes(worker=False, metrics_port=None)) as url,
        observing(settings) as observer,
        engine.connect(database_url, statements=observer.statements) as own,
    ):
        observer.watch_database(own)
        client = Client(url, await token(own))
        created = await client.execute(CREATE, {"path": images(tmp_path / "pets", 6)})
        assert (await prometheus.scrape()).get("jobs", kind="SYNC", status="QUEUED") == 1
        working = asyncio.create_task(worker.run(own, settings, stop=stop, observer=observer))
        await followed(client, created["createDataset"]["dataset"]["id"])

        async def has_ended() -> bool:
            return (await prometheus.scrape()).get("jobs_ended_total", kind="SYNC", outcome="SUCCEEDED") == 1

        await wait_until(has_ended)
        found = await prometheus.scrape()
        stop.set()
        await working
    assert found.get("storage_objects_total", store="directory", operation="pages") == 7
    assert found.get("jobs", kind="SYNC", status="QUEUED") == 0
    assert found.get("decoders", of="worker", state="busy") == 0


async def test_they_are_read_also_while_the_database_is_away(prometheus: Prometheus, tmp_path: Path) -> None:
    settings = Settings(database_url=NO_DATABASE, data_dir=tmp_path, secret="known", worker=False, metrics_port=0)
    async with serving(settings) as url:
        await Client(url, "lg_" + "a" * 43).post("{ viewer { scope } }")
        found = await prometheus.scrape()
    assert found.get("database_up") == 0
    assert found.labels("jobs", "kind") == set()
    assert found.get("operations_total", operation="(refused)", code="UNAVAILABLE") == 1


async def test_a_token_guards_them_where_there_is_one(
    settings: Settings, prometheus: Prometheus, database: Database
) -> None:
    async with serving(settings.with_changes(worker=False, metrics_token="hunter2")) as url:
        for wrong in (None, "hunter", await token(database)):
            assert (await Client(prometheus.url, wrong).request("GET", "/metrics")).status_code == 401
        assert (await prometheus.scrape("hunter2")).get("database_up") == 1
        assert (await Client(url, "hunter2").request("GET", "/metrics")).status_code == 404, "not at the public port"


async def test_a_page_whose_name_leads_here_cannot_read_them(settings: Settings, prometheus: Prometheus) -> None:
    async with serving(settings.with_changes(worker=False)):
        answer = await Client(prometheus.url).request("GET", "/metrics", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert "labelgraph_" not in answer.text


async def test_a_port_that_is_taken_is_named(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CommandError, match=rf"127\.0\.0\.1:{port}: Address already in use\. .*LABELGRAPH_METRICS_PORT"
        ):
            async with observing(settings.with_changes(metrics_port=port)):
                pass


async def test_a_server_of_which_nobody_asked_for_it_shows_nothing_and_imports_nothing() -> None:
    """Nor does a worker import the language, or what migrates a database."""
    code = """
import asyncio, sys
from api import commands, configuration, worker
from api.observation.observer import observing
from api.settings import Settings
assert [name for name in sys.modules if name.startswith(("alembic", "graphql", "strawberry"))] == []
from api import app
async def main():
    async with observing(Settings()) as observer:
        assert (observer.metrics, observer.tracing) == (None, None)
        assert (observer.statements, observer.on_store_call) == (None, None)
asyncio.run(main())
print([name for name in sys.modules if name.startswith(("prometheus_client", "opentelemetry"))])
"""
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert (ran.stdout, ran.returncode) == ("[]\n", 0), ran.stderr
