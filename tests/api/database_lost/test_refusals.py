"""Postgres that is full, read-only or cut off."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.settings import Settings
from db.identity import tokens
from db.identity.urls import Signer
from db.postgres import sql
from db.postgres.engine import Database
from tests.api.database_lost.embedded_server import CREATE, LABELS, codes, create_label, request_label
from tests.client import Client, serving, token
from tests.conftest import execute
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT


@asynccontextmanager
async def pets_dataset(database: Database, folder: Path) -> AsyncIterator[tuple[Client, str]]:
    """A server with a client and an empty dataset."""
    settings = Settings(database_url=database.url, data_dir=folder, allowed_roots=(folder,), worker=False)
    async with serving(settings) as url:
        client = Client(url, await token(database), TIMEOUT)
        values = {"name": "pets", "path": str(folder), "sync": False}
        yield client, (await client.execute(CREATE, values))["createDataset"]["dataset"]["id"]


@pytest.mark.parametrize("state", ["53100", "53200", "53300", "57P03", "58030"])
async def test_a_database_without_room_is_unavailable_and_no_defect(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    async with pets_dataset(database, tmp_path) as (client, pets):
        await execute(
            database.url,
            f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{state}'; END $$""",
        )
        await execute(
            database.url, "CREATE TRIGGER refuse BEFORE INSERT ON label FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        response = await request_label(client, pets, "cat")
        assert (response.status_code, codes(response.json())) == (503, {"UNAVAILABLE"})
        await execute(database.url, "DROP TRIGGER refuse ON label")
        await create_label(client, pets, "cat")
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_a_database_that_takes_no_writes_is_unavailable(database: Database, tmp_path: Path) -> None:
    settings = Settings(
        database_url=database.url, data_dir=tmp_path, allowed_roots=(tmp_path,), worker=False, secret="known"
    )
    text = await token(database)
    name = database.url.partition("?")[0].rpartition("/")[2]
    await execute(database.url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with serving(settings) as url:
        client = Client(url, text, TIMEOUT)
        assert (await client.execute("{ datasets { totalCount } }")) == {"datasets": {"totalCount": 0}}
        values = {"name": "pets", "path": str(tmp_path), "sync": False}
        response = await client.post(CREATE, values, headers={"idempotency-key": "k"})
        assert (response.status_code, codes(response.json())) == (503, {"UNAVAILABLE"})


async def test_connections_that_were_cut_are_replaced_before_anybody_notices(
    database: Database, tmp_path: Path
) -> None:
    async with pets_dataset(database, tmp_path) as (client, pets):
        for number in range(3):
            await execute(
                database.url,
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            assert await client.execute(LABELS, {"id": pets})
            await create_label(client, pets, f"cat{number}")


@pytest.mark.parametrize("limits", [{"query": 0.5}, {"lock": 0.5}], ids=["canceled", "locked"])
async def test_a_statement_that_was_stopped_is_unavailable_at_every_door(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, limits: dict[str, float]
) -> None:
    settings = Settings(
        database_url=database.url,
        data_dir=tmp_path,
        worker=False,
        secret="known",
        timeouts=SERVER_TIMEOUTS.with_changes(**limits),
    )
    known, unknown = [await token(database) for _ in range(2)]
    async with database.reading() as connection:
        identity = await tokens.verify(connection, known)
    assert identity is not None
    links = Signer(b"known", 3_600).links("", identity.token_id, time.time())
    requests = [("GET", links.image(1)), ("GET", links.original(1, ".jpg")), ("GET", links.thumbnail(1, 64))]
    requests += [("GET", links.export(1)), ("PUT", links.upload("0" * 32)), ("PUT", links.upload("0" * 32 + "-0"))]
    requests += [("GET", "/readyz")]
    async with serving(settings) as url:
        await Client(url, known, TIMEOUT).request("GET", links.image(1))  # the token is known for two seconds
        async with database.writing() as session:
            await sql.run(session, "LOCK TABLE source, export_file, upload, import_upload, alembic_version, token")
            responses = await asyncio.gather(*(Client(url, None, TIMEOUT).request(*each) for each in requests))
            refused = await Client(url, unknown, TIMEOUT).post("{ viewer { name } }")
    for response in [*responses, refused]:
        assert response.status_code == 503, (response.url, response.text)
    assert all(response.headers["retry-after"] for response in [*responses[:-1], refused])
    assert codes(refused.json()) == {"UNAVAILABLE"}
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []
