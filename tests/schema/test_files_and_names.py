"""Settings of a dataset as clients see them: which files a sync takes, which names labels may have; and what a sync
says that it passed over."""

from typing import Any

import pytest

from db import jobs
from db.history.transactions import write
from db.ingest import sync, uploads
from db.ingest.sync.rules import Reason
from db.ingest.uploads import RequestedFile, RequestedUploads
from db.storage import LocalStore
from schema.job_enums import IgnoredReason
from tests.db.dataset_fixture import WORKER, image_bytes
from tests.schema.mutation_fixture import DatasetClient

SETTINGS = "dataset { id include exclude labelNames imageFormats labels { name } }"
DEFAULTS = {"include": [], "exclude": [], "labelNames": "STANDARD", "imageFormats": ["JPEG", "PNG", "BMP"]}


async def settings(client: DatasetClient, **input_: Any) -> dict[str, Any]:
    payload = await client.mutate("updateDataset", SETTINGS, datasetId=client.dataset, **input_)
    return {name: payload["dataset"][name] for name in DEFAULTS}


async def test_a_dataset_has_settings(client: DatasetClient) -> None:
    input_: dict[str, Any] = {"include": ["train/", "cafe\u0301/*"], "exclude": ["**/*.png"], "labelNames": "ANY"}
    input_["imageFormats"] = ["AVIF", "JPEG", "AVIF"]
    payload = await client.mutate(
        "createDataset",
        SETTINGS,
        name="zoo",
        inputPath=str(client.root / "zoo"),
        labels=[{"name": "traffic light"}],
        **input_,
    )
    made = payload["dataset"]
    assert (made["include"], made["exclude"], made["labelNames"]) == (["train/", "café/*"], ["**/*.png"], "ANY")
    assert made["imageFormats"] == ["JPEG", "AVIF"]
    assert made["labels"] == [{"name": "traffic light"}]


async def test_settings_are_changed_one_by_one_and_left_alone_by_null(client: DatasetClient) -> None:
    before = await client.revision()
    assert await settings(client) == DEFAULTS
    assert await settings(client, include=["a/**"]) == DEFAULTS | {"include": ["a/**"]}
    assert await settings(client, exclude=["b"], include=None) == DEFAULTS | {
        "include": ["a/**"],
        "exclude": ["b"],
    }
    assert await settings(client, include=[], labelNames="ANY") == DEFAULTS | {
        "exclude": ["b"],
        "labelNames": "ANY",
    }
    assert await settings(client, exclude=[], labelNames="STANDARD") == DEFAULTS
    assert await settings(client, imageFormats=["TIFF"]) == DEFAULTS | {"imageFormats": ["TIFF"]}
    assert (await client.refused("updateDataset", datasetId=client.dataset, imageFormats=[]))["code"] == (
        "VALIDATION_FAILED"
    )
    assert await settings(client, imageFormats=None) == DEFAULTS | {"imageFormats": ["TIFF"]}
    assert await client.revision() == before


@pytest.mark.parametrize("field", ["include", "exclude"])
@pytest.mark.parametrize("patterns", [["/a"], [""], ["a"] * 51, ["a" * 257], ["*.{jpg,png}"], ["a", "a/../b"], ["\0"]])
async def test_refuses_what_are_no_patterns(client: DatasetClient, field: str, patterns: list[str]) -> None:
    assert (await client.refused("updateDataset", datasetId=client.dataset, **{field: patterns}))["code"] == (
        "VALIDATION_FAILED"
    )
    input_ = {"name": "zoo", "inputPath": str(client.root / "zoo"), field: patterns}
    assert (await client.refused("createDataset", **input_))["code"] == "VALIDATION_FAILED"
    assert await settings(client) == DEFAULTS


def mutations_with_name(client: DatasetClient, name: str) -> dict[str, dict[str, Any]]:
    """Every mutation that makes or names a label, each with another sample."""
    return {
        "createLabels": {"datasetId": client.dataset, "labels": [{"name": f"{name} 1"}]},
        "renameLabel": {"labelId": client.label("dog"), "name": f"{name} 2"},
        "labelSamples": {
            "datasetId": client.dataset,
            "select": {"ids": client.ids(0)},
            "labels": [f"{name} 3"],
            "createMissing": True,
        },
        "replaceSampleLabel": {
            "datasetId": client.dataset,
            "select": {"ids": client.ids(1)},
            "from": "cat",
            "to": f"{name} 4",
            "createMissing": True,
        },
        "annotateSamples": {
            "datasetId": client.dataset,
            "samples": [{"sampleId": client.ids(2)[0], "add": [{"label": f"{name} 5"}]}],
            "createMissing": True,
        },
    }


async def test_every_operation_keeps_the_rule(client: DatasetClient) -> None:
    await client.mutate(
        "labelSamples", "changedCount", datasetId=client.dataset, select={"ids": client.ids(1)}, labels=["cat"]
    )
    for field, input_ in mutations_with_name(client, "traffic light").items():
        refused = await client.refused(field, **input_)
        assert refused["code"] == "INVALID_NAME", field
    await settings(client, labelNames="ANY")
    for field, input_ in mutations_with_name(client, "traffic light").items():
        await client.mutate(field, "__typename", **input_)
    query = """query ($id: ID!, $names: [String!]!) { dataset(by: {id: $id}) { labels { name }
        samples(filter: {labels: {names: $names}}) { totalCount } label(name: "traffic light 3") { sampleCount } } }"""
    data = await client.direct.execute(query, {"id": client.dataset, "names": ["traffic light 3", "traffic light 5"]})
    names = {label["name"] for label in data["dataset"]["labels"]}
    assert names == {"cat", *(f"traffic light {number}" for number in range(1, 6))}
    assert data["dataset"]["samples"]["totalCount"] == 2
    assert data["dataset"]["label"] == {"sampleCount": 1}
    await client.check()


@pytest.mark.parametrize("name", [" a", "a\0", "a" * 65, "\u202ea", "a\nb"])
async def test_what_is_no_name_under_any_rule_is_refused_in_every_operation(client: DatasetClient, name: str) -> None:
    await client.mutate(
        "labelSamples", "changedCount", datasetId=client.dataset, select={"ids": client.ids(1)}, labels=["cat"]
    )
    await settings(client, labelNames="ANY")
    for field, input_ in mutations_with_name(client, name).items():
        assert (await client.refused(field, **input_))["code"] == "INVALID_NAME", field


async def test_uploads_make_labels_by_the_rule(client: DatasetClient) -> None:
    async def ask(name: str) -> None:
        requested = RequestedUploads([RequestedFile("key", "x.jfif", 10)], 4_000_000_000, (name,), True, "ERROR")
        await write(
            client.direct.database,
            lambda session: uploads.request(session, client.dataset_rows.id, requested, by=client.direct.identity),
            uploads.IssuedTickets,
        )

    with pytest.raises(Exception, match="traffic light"):
        await ask("traffic light")
    await settings(client, labelNames="ANY")
    await ask("traffic light")


async def test_the_rule_becomes_no_stricter_while_names_do_not_fit(client: DatasetClient) -> None:
    await settings(client, labelNames="ANY")
    await client.mutate("createLabels", "__typename", datasetId=client.dataset, labels=[{"name": "猫"}])
    await settings(client, labelNames="STANDARD")
    await settings(client, labelNames="ANY")
    await client.mutate("renameLabel", "__typename", labelId=client.label("dog"), name="traffic light")
    assert (await client.refused("updateDataset", datasetId=client.dataset, labelNames="STANDARD"))["code"] == (
        "VALIDATION_FAILED"
    )
    await client.mutate("renameLabel", "__typename", labelId=client.label("dog"), name="dog")
    refused = await client.refused("updateDataset", datasetId=client.dataset, labelNames="STANDARD")
    assert refused["details"]["names"] == ["traffic light"], "an undo would bring it back"
    assert (await settings(client))["labelNames"] == "ANY"


async def test_the_rule_becomes_no_stricter_while_a_sync_may_make_labels(client: DatasetClient) -> None:
    await settings(client, labelNames="ANY")
    await client.mutate("syncDataset", "job { id }", datasetId=client.dataset)
    refused = await client.refused("updateDataset", datasetId=client.dataset, labelNames="STANDARD")
    assert refused["code"] == "DATASET_BUSY"


async def test_a_sync_says_what_it_passed_over(client: DatasetClient) -> None:
    images = client.root / "images"
    for path in images.iterdir():
        path.unlink()
    for name in ("a.webp", "b.webp", ".hidden.jpg", "orphan.txt", "README"):
        (images / name).write_bytes(b"")
    (images / "out.jpg").symlink_to("/etc/hostname")
    (images / "c.png").write_bytes(image_bytes())
    (images / "c.txt").write_text("traffic light\ntraffic light")
    job = (await client.mutate("syncDataset", "job { id }", datasetId=client.dataset))["job"]["id"]
    claim = await jobs.claim(client.direct.database, WORKER)
    assert claim is not None
    await sync.run(client.direct.database, claim, LocalStore(images))
    query = """query ($id: ID!) { node(id: $id) { ... on SyncJob {
        scannedCount ignoredCount ignoredFiles { reason suffix count examples }
        warnings(first: 10) { nodes { path message count } } } } }"""
    job_node = (await client.direct.execute(query, {"id": job}))["node"]
    assert (job_node["scannedCount"], job_node["ignoredCount"]) == (8, 6)
    groups = {(each["reason"], each["suffix"]): each for each in job_node["ignoredFiles"]}
    assert {key: each["count"] for key, each in groups.items()} == {
        ("SUFFIX", ".webp"): 2,
        ("SUFFIX", ""): 1,
        ("HIDDEN", None): 1,
        ("LINK_NOT_ALLOWED", None): 1,
        ("SIDECAR_WITHOUT_IMAGE", None): 1,
    }
    assert job_node["ignoredFiles"][0]["suffix"] == ".webp"
    assert sorted(groups["SUFFIX", ".webp"]["examples"]) == ["a.webp", "b.webp"]
    warnings = {each["path"]: each["count"] for each in job_node["warnings"]["nodes"]}
    assert warnings == {"c.txt:1": 2, "out.jpg": 1}


def test_every_reason_of_a_sync_is_one_of_the_schema() -> None:
    assert {reason.value for reason in Reason} == {reason.name for reason in IgnoredReason}
