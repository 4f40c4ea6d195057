"""Annotating through the schema: a detection dataset of images of 640 × 480, and short names for what is on them."""

from pathlib import Path
from typing import Any

from db.history import changes
from db.postgres import sql
from db.postgres.engine import Database
from tests.schema.mutation_fixture import DatasetClient, create_client

SHAPE = """shape { __typename
    ... on BoundingBox { xMin yMin xMax yMax } ... on Polygon { points { x y } } ... on Polyline { points { x y } }
    ... on Circle { center { x y } radius } ... on Point { position { x y } } }"""
ANNOTATIONS = f"id label {{ name }} labeledBy labeledAt origin confidence isConfirmed {SHAPE}"
PAYLOAD = f"""
    matchedCount changedCount unchangedCount notFoundIds change {{ id revision kind actor summary isUndoable }}
    samples {{ id state labels {{ name }} labeledBy annotations {{ {ANNOTATIONS} }} }}
    dataset {{ revision statistics {{ labeledCount unlabeledCount pendingCount }}
    labels {{ name sampleCount annotationCount }} }}
"""


BOX = '{"type": "BoundingBox", "xMin": 10, "yMin": 20, "xMax": 90, "yMax": 40}'  # as it is stored


def box(left: float = 10, top: float = 20, right: float = 90, bottom: float = 40) -> dict[str, Any]:
    return {"boundingBox": {"xMin": left, "yMin": top, "xMax": right, "yMax": bottom}}


def answered_box(left: float = 10, top: float = 20, right: float = 90, bottom: float = 40) -> dict[str, Any]:
    """The same as it is in an answer."""
    return {"__typename": "BoundingBox", **box(left, top, right, bottom)["boundingBox"]}


def triangle(x: float = 10) -> dict[str, Any]:
    return {"polygon": {"points": [{"x": x, "y": 0}, {"x": x + 50, "y": 0}, {"x": x, "y": 50.5}]}}


def new(label: str, shape: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"label": label, "shape": shape}


async def create_box_client(database: Database, root: Path, **more: Any) -> DatasetClient:
    input_: dict[str, Any] = {"kind": "OBJECT_DETECTION", "size": (640, 480), "labels": ("cat", "dog", "bird")} | more
    return await create_client(database, root, **input_)


async def annotate(client: DatasetClient, *samples: dict[str, Any], key: str | None = None, **more: Any) -> Any:
    return await client.mutate("annotateSamples", PAYLOAD, key, datasetId=client.dataset, samples=list(samples), **more)


def edit_of(client: DatasetClient, position: int, **edit: Any) -> dict[str, Any]:
    """An edit of one sample."""
    return {"sampleId": client.ids(position)[0], **edit}


async def refused(client: DatasetClient, *samples: dict[str, Any], **more: Any) -> dict[str, Any]:
    return await client.refused("annotateSamples", datasetId=client.dataset, samples=list(samples), **more)


async def annotations(client: DatasetClient, position: int) -> list[dict[str, Any]]:
    query = f"query ($id: ID!) {{ node(id: $id) {{ ... on Sample {{ annotations {{ {ANNOTATIONS} }} }} }} }}"
    data = await client.direct.execute(query, {"id": client.ids(position)[0]})
    return data["node"]["annotations"]  # type: ignore[no-any-return]


async def labels_and_shapes(client: DatasetClient, position: int = 0) -> list[tuple[str, dict[str, Any] | None]]:
    """Labels and shapes of one sample."""
    return [(each["label"]["name"], each["shape"]) for each in await annotations(client, position)]


async def add_annotations(client: DatasetClient, position: int, *additions: dict[str, Any]) -> list[str]:
    """The ids of all annotations of the sample, these among them."""
    payload = await annotate(client, edit_of(client, position, add=list(additions)))
    return [each["id"] for each in payload["samples"][0]["annotations"]]


async def suggest(client: DatasetClient, position: int, label: str, shape: str | None, confidence: float = 0.7) -> str:
    """What a model would leave: the id of an annotation that nobody has confirmed."""
    sample, dataset_rows = client.dataset_rows.samples[position], client.dataset_rows
    async with client.direct.database.writing() as session:
        change = await changes.record(session, dataset_rows.id, kind="SYNC", actor="model", summary="x")
        row = await sql.first(
            session,
            """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confidence, confirmed,
                                       shape, since)
            VALUES (:dataset, :sample, :label, 'model', 'MODEL', :confidence, false, :shape::jsonb, :since)
            RETURNING id""",
            dataset=dataset_rows.id, sample=sample, label=dataset_rows.labels[label], confidence=confidence,
            shape=shape, since=change.revision,
        )  # fmt: skip
        await sql.run(
            session,
            """UPDATE sample SET since = :since, state = CASE WHEN label_ids = '{}' THEN 'PENDING' ELSE state END
            WHERE id = :sample""",
            sample=sample,
            since=change.revision,
        )
    assert row is not None
    return f"Annotation:{row['id']}"
