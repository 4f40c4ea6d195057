"""The whole server behind PgBouncer: requests, jobs and the command line."""

import asyncio
from pathlib import Path

import pytest

from api.__main__ import main
from api.settings import Settings
from db.postgres import engine
from tests.api.test_processes import running
from tests.client import Client, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.waiting import wait_until

CREATE = """mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"""
STATE = """query ($id: ID!) { dataset(by: {id: $id}) {
    activeJob { id } statistics { totalCount labeledCount } revision } }"""
LABEL = """mutation ($id: ID!) { labelSamples(input: {
    datasetId: $id, select: {filter: {state: UNLABELED}}, labels: ["cat"], createMissing: true
}) { changedCount } }"""


async def test_a_dataset_is_made_synced_and_labelled(
    pooled_url: str, database_url: str, database: engine.Database, tmp_path: Path
) -> None:
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(image_bytes())
    settings = Settings(
        database_url=pooled_url,
        listen_url=database_url,
        pooled=True,
        allowed_roots=(tmp_path,),
        data_dir=tmp_path / "data",
    )
    async with serving(settings) as url:
        client = Client(url, await token(database))
        given = {"name": "cats", "inputPath": str(tmp_path)}
        made = (await client.execute(CREATE, {"input": given}))["createDataset"]["dataset"]["id"]

        async def is_synced() -> bool:
            state = (await client.execute(STATE, {"id": made}))["dataset"]
            return state["activeJob"] is None and state["statistics"]["totalCount"] == 20

        await wait_until(is_synced)
        assert (await client.execute(LABEL, {"id": made}))["labelSamples"]["changedCount"] == 20
        answers = await asyncio.gather(*(client.execute(STATE, {"id": made}) for _ in range(30)))
        assert [answer["dataset"]["statistics"] for answer in answers] == [{"totalCount": 20, "labeledCount": 20}] * 30


@pytest.mark.slow
async def test_the_program_itself_starts_and_answers(
    pooled_url: str, database_url: str, database: engine.Database, tmp_path: Path
) -> None:
    variables = {"DATABASE_URL": pooled_url, "LABELGRAPH_LISTEN_URL": database_url, "LABELGRAPH_POOLED": "true"}
    async with running(tmp_path, **variables) as server:
        name = (await Client(server.url, await token(database, name="Ada")).execute("{ viewer { name } }"))["viewer"]
    assert name == {"name": "Ada"}


def test_tokens_are_made_and_listed(
    pooled_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", pooled_url)
    monkeypatch.setenv("LABELGRAPH_LISTEN_URL", database_url)
    monkeypatch.setenv("LABELGRAPH_POOLED", "true")
    main(["token", "create", "--name", "Ada", "--scope", "read"])
    main(["token", "list"])
    assert "Ada" in capsys.readouterr().out
