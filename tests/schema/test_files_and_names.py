"""Settings of a dataset as clients see them: which files a sync takes, which names labels may have; and what a sync
says that it passed over."""

from typing import Any

import pytest

from db import jobs
from db.history.transactions import write
from db.ingest import sync, uploads
from db.ingest.sync.ignored import Reason
from db.ingest.uploads import RequestedFile, RequestedUploads
from db.storage import LocalStore
from schema.types.job import IgnoredReason
from tests.db.dataset_fixture import WORKER, image_bytes
from tests.schema.mutation_fixture import Stage

SETTINGS = "dataset { id include exclude labelNames labels { name } }"
DEFAULTS = {"include": [], "exclude": [], "labelNames": "STANDARD"}


async def settings(stage: Stage, **given: Any) -> dict[str, Any]:
    payload = await stage.do("updateDataset", SETTINGS, datasetId=stage.dataset, **given)
    return {name: payload["dataset"][name] for name in DEFAULTS}


async def test_a_dataset_has_settings(stage: Stage) -> None:
    given: dict[str, Any] = {"include": ["train/", "cafe\u0301/*"], "exclude": ["**/*.png"], "labelNames": "ANY"}
    payload = await stage.do(
        "createDataset",
        SETTINGS,
        name="zoo",
        inputPath=str(stage.root / "zoo"),
        labels=[{"name": "traffic light"}],
        **given,
    )
    made = payload["dataset"]
    assert (made["include"], made["exclude"], made["labelNames"]) == (["train/", "café/*"], ["**/*.png"], "ANY")
    assert made["labels"] == [{"name": "traffic light"}]


async def test_settings_are_changed_one_by_one_and_left_alone_by_null(stage: Stage) -> None:
    before = await stage.revision()
    assert await settings(stage) == DEFAULTS
    assert await settings(stage, include=["a/**"]) == DEFAULTS | {"include": ["a/**"]}
    assert await settings(stage, exclude=["b"], include=None) == DEFAULTS | {
        "include": ["a/**"],
        "exclude": ["b"],
    }
    assert await settings(stage, include=[], labelNames="ANY") == DEFAULTS | {
        "exclude": ["b"],
        "labelNames": "ANY",
    }
    assert await settings(stage, exclude=[], labelNames="STANDARD") == DEFAULTS
    assert await stage.revision() == before


@pytest.mark.parametrize("field", ["include", "exclude"])
@pytest.mark.parametrize("patterns", [["/a"], [""], ["a"] * 51, ["a" * 257], ["*.{jpg,png}"], ["a", "a/../b"], ["\0"]])
async def test_refuses_what_are_no_patterns(stage: Stage, field: str, patterns: list[str]) -> None:
    assert (await stage.refused("updateDataset", datasetId=stage.dataset, **{field: patterns}))["code"] == (
        "VALIDATION_FAILED"
    )
    given = {"name": "zoo", "inputPath": str(stage.root / "zoo"), field: patterns}
    assert (await stage.refused("createDataset", **given))["code"] == "VALIDATION_FAILED"
    assert await settings(stage) == DEFAULTS


def doors(stage: Stage, name: str) -> dict[str, dict[str, Any]]:
    """Every mutation that makes or names a label, each with another sample."""
    return {
        "createLabels": {"datasetId": stage.dataset, "labels": [{"name": f"{name} 1"}]},
        "renameLabel": {"labelId": stage.label("dog"), "name": f"{name} 2"},
        "labelSamples": {
            "datasetId": stage.dataset,
            "select": {"ids": stage.ids(0)},
            "labels": [f"{name} 3"],
            "createMissing": True,
        },
        "replaceSampleLabel": {
            "datasetId": stage.dataset,
            "select": {"ids": stage.ids(1)},
            "from": "cat",
            "to": f"{name} 4",
            "createMissing": True,
        },
        "annotateSamples": {
            "datasetId": stage.dataset,
            "samples": [{"sampleId": stage.ids(2)[0], "add": [{"label": f"{name} 5"}]}],
            "createMissing": True,
        },
    }


async def test_every_door_keeps_the_rule(stage: Stage) -> None:
    await stage.do("labelSamples", "changed", datasetId=stage.dataset, select={"ids": stage.ids(1)}, labels=["cat"])
    for field, given in doors(stage, "traffic light").items():
        refused = await stage.refused(field, **given)
        assert refused["code"] == "INVALID_NAME", field
    await settings(stage, labelNames="ANY")
    for field, given in doors(stage, "traffic light").items():
        await stage.do(field, "__typename", **given)
    query = """query ($id: ID!, $names: [String!]!) { dataset(by: {id: $id}) { labels { name }
        samples(filter: {labels: {names: $names}}) { totalCount } label(name: "traffic light 3") { sampleCount } } }"""
    data = await stage.direct.execute(query, {"id": stage.dataset, "names": ["traffic light 3", "traffic light 5"]})
    names = {label["name"] for label in data["dataset"]["labels"]}
    assert names == {"cat", *(f"traffic light {number}" for number in range(1, 6))}
    assert data["dataset"]["samples"]["totalCount"] == 2
    assert data["dataset"]["label"] == {"sampleCount": 1}
    await stage.check()


@pytest.mark.parametrize("name", [" a", "a\0", "a" * 65, "\u202ea", "a\nb"])
async def test_what_is_no_name_under_any_rule_is_refused_at_every_door(stage: Stage, name: str) -> None:
    await stage.do("labelSamples", "changed", datasetId=stage.dataset, select={"ids": stage.ids(1)}, labels=["cat"])
    await settings(stage, labelNames="ANY")
    for field, given in doors(stage, name).items():
        assert (await stage.refused(field, **given))["code"] == "INVALID_NAME", field


async def test_uploads_make_labels_by_the_rule(stage: Stage) -> None:
    async def ask(name: str) -> None:
        asked = RequestedUploads([RequestedFile("key", "x.jfif", 10)], 4_000_000_000, (name,), True, "ERROR")
        await write(
            stage.direct.database,
            lambda session: uploads.request(session, stage.dataset_rows.id, asked, by=stage.direct.identity),
            uploads.IssuedTickets,
        )

    with pytest.raises(Exception, match="traffic light"):
        await ask("traffic light")
    await settings(stage, labelNames="ANY")
    await ask("traffic light")


async def test_the_rule_becomes_no_stricter_while_names_do_not_fit(stage: Stage) -> None:
    await settings(stage, labelNames="ANY")
    await stage.do("createLabels", "__typename", datasetId=stage.dataset, labels=[{"name": "猫"}])
    await settings(stage, labelNames="STANDARD")
    await settings(stage, labelNames="ANY")
    await stage.do("renameLabel", "__typename", labelId=stage.label("dog"), name="traffic light")
    assert (await stage.refused("updateDataset", datasetId=stage.dataset, labelNames="STANDARD"))["code"] == (
        "VALIDATION_FAILED"
    )
    await stage.do("renameLabel", "__typename", labelId=stage.label("dog"), name="dog")
    refused = await stage.refused("updateDataset", datasetId=stage.dataset, labelNames="STANDARD")
    assert refused["details"]["names"] == ["traffic light"], "an undo would bring it back"
    assert (await settings(stage))["labelNames"] == "ANY"


async def test_the_rule_becomes_no_stricter_while_a_sync_may_make_labels(stage: Stage) -> None:
    await settings(stage, labelNames="ANY")
    await stage.do("syncDataset", "job { id }", datasetId=stage.dataset)
    refused = await stage.refused("updateDataset", datasetId=stage.dataset, labelNames="STANDARD")
    assert refused["code"] == "DATASET_BUSY"


async def test_a_sync_says_what_it_passed_over(stage: Stage) -> None:
    images = stage.root / "images"
    for path in images.iterdir():
        path.unlink()
    for name in ("a.webp", "b.webp", ".hidden.jpg", "orphan.txt", "README"):
        (images / name).write_bytes(b"")
    (images / "out.jpg").symlink_to("/etc/hostname")
    (images / "c.png").write_bytes(image_bytes())
    (images / "c.txt").write_text("traffic light\ntraffic light")
    job = (await stage.do("syncDataset", "job { id }", datasetId=stage.dataset))["job"]["id"]
    claim = await jobs.claim(stage.direct.database, WORKER)
    assert claim is not None
    await sync.run(stage.direct.database, claim, LocalStore(images))
    query = """query ($id: ID!) { node(id: $id) { ... on SyncJob {
        scanned ignored ignoredFiles { reason suffix count examples }
        warnings(first: 10) { nodes { path message count } } } } }"""
    told = (await stage.direct.execute(query, {"id": job}))["node"]
    assert (told["scanned"], told["ignored"]) == (8, 6)
    groups = {(each["reason"], each["suffix"]): each for each in told["ignoredFiles"]}
    assert {key: each["count"] for key, each in groups.items()} == {
        ("SUFFIX", ".webp"): 2,
        ("SUFFIX", ""): 1,
        ("HIDDEN", None): 1,
        ("LINK_NOT_ALLOWED", None): 1,
        ("SIDECAR_WITHOUT_IMAGE", None): 1,
    }
    assert told["ignoredFiles"][0]["suffix"] == ".webp"
    assert sorted(groups["SUFFIX", ".webp"]["examples"]) == ["a.webp", "b.webp"]
    warnings = {each["path"]: each["count"] for each in told["warnings"]["nodes"]}
    assert warnings == {"c.txt:1": 2, "out.jpg": 1}


def test_every_reason_of_a_sync_is_one_of_the_schema() -> None:
    assert {reason.value for reason in Reason} == {reason.name for reason in IgnoredReason}
