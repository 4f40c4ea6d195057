"""What a page reads of its token, so that it greys out what it may not do."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.identity import tokens
from db.identity.tokens import Scope
from db.postgres.engine import Database
from tests.client import Failed
from tests.schema.mutation_fixture import DatasetClient

VIEWER = "{ viewer { name scope expiresAt datasetIds canCreateDatasets } }"
MAY = "query ($d: ID!) { dataset(by: {id: $d}) { viewerCan { label undo upload sync publish manage rename } } }"
# A mutation that each permission is for, with an input that is refused for another reason, or changes nothing.
NEEDED: dict[str, tuple[str, Callable[[DatasetClient], dict[str, Any]]]] = {
    "label": ("updateLabel", lambda client: {"labelId": client.label("cat")}),
    "undo": ("undoChange", lambda client: {"changeId": "Change:1"}),
    "sync": ("cancelJob", lambda client: {"jobId": "SyncJob:0"}),
    "publish": ("deleteVersion", lambda client: {"versionId": "Version:0"}),
    "manage": ("deleteLabels", lambda client: {"labelIds": [], "mode": "LABEL_ONLY"}),
    "rename": ("updateDataset", lambda client: {"datasetId": client.dataset, "name": "another-name"}),
}


async def is_permitted(client: DatasetClient, permission: str) -> bool:
    field, make_input = NEEDED[permission]
    try:
        await client.mutate(field, "__typename", **make_input(client))
    except Failed as failed:
        return failed.codes != ["FORBIDDEN"]
    return True


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("is_confined", [False, True])
async def test_what_a_page_is_told_is_what_its_token_may_do(
    client: DatasetClient, scope: Scope, is_confined: bool
) -> None:
    asking = client.with_scope(scope)
    if is_confined:
        asking = asking.confined_to(client.dataset_rows.id)
    permitted = (await asking.direct.execute(MAY, {"d": client.dataset}))["dataset"]["viewerCan"]
    assert {name: await is_permitted(asking, name) for name in NEEDED} == {name: permitted[name] for name in NEEDED}
    assert permitted["upload"] == (scope is Scope.MANAGE)
    viewer = (await asking.direct.execute(VIEWER))["viewer"]
    assert viewer["scope"] == scope.name
    assert viewer["datasetIds"] == ([client.dataset] if is_confined else None)
    assert viewer["canCreateDatasets"] == (scope is Scope.MANAGE and not is_confined)


async def test_a_token_tells_when_it_expires(client: DatasetClient, database: Database) -> None:
    assert (await client.direct.execute(VIEWER))["viewer"]["expiresAt"] is None
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    async with database.writing() as session:
        text = await tokens.create(session, name="short", scope=Scope.READ, expires_at=moment)
    async with database.reading() as reader:
        identity = await tokens.verify(reader, text)
    assert identity is not None
    assert identity.expires_at == moment
    viewer: Any = (await replace(client.direct, identity=identity).execute(VIEWER))["viewer"]
    assert datetime.fromisoformat(viewer["expiresAt"]) == moment


async def test_tokens_share_their_plans(client: DatasetClient) -> None:
    schema = client.direct.schema
    query = (
        "query ($d: ID!) { viewer { scope } dataset(by: {id: $d}) { id viewerCan { label } changes { nodes { id } } } }"
    )
    await client.direct.execute(query, {"d": client.dataset})
    before = len(schema.plans)
    for scope in Scope:
        await client.as_somebody(scope.word).with_scope(scope).direct.execute(query, {"d": client.dataset})
    assert len(schema.plans) == before
