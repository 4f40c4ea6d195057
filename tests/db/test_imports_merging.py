"""Imports into a dataset that has samples already; and images that are elsewhere."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from db.datasets import check
from db.errors import Conflict
from db.formats.annotations import Author
from db.history.transactions import write
from db.history.undo import undo
from db.ingest.write import last_author
from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, label
from db.labelling.samples.selection import Selection
from tests.db.dataset_fixture import image_bytes
from tests.db.dataset_rows import ANN
from tests.db.import_fixture import CAT, DOG, ImportFixture, counted

UNCHANGED = {"added": 0, "updated": 0, "labeled": 0, "skipped": 0}


async def state(importer: ImportFixture) -> tuple[Any, ...]:
    """All that a user could see, but for ids and times."""
    samples = await importer.dataset.rows(
        "SELECT s.path, s.state, s.labeled_by, s.labeled_origin, s.hard, s.usage, x.size, x.status"
        " FROM sample s JOIN source x ON x.id = s.source_id WHERE s.dataset_id = $1 ORDER BY 1",
        importer.dataset.dataset_id,
    )
    files = sorted(str(path.relative_to(importer.images)) for path in importer.images.rglob("*") if path.is_file())
    return [tuple(row) for row in samples], await importer.annotations(), await importer.dataset.labels(), files


async def revision(importer: ImportFixture) -> int:
    [row] = await importer.dataset.rows("SELECT revision FROM dataset WHERE id = $1", importer.dataset.dataset_id)
    return int(row["revision"])


# -- what is there already --------------------------------------------------------------------------------------------


async def test_importing_again_changes_nothing(importer: ImportFixture) -> None:
    importer.put("1.png", "2.png", "3.png", "4.png")
    machine = CAT | {"annotated-by": "modelarts/active-learning", "confidence": 0.8}
    timeless = {key: value for key, value in DOG.items() if key != "creation-time"}
    manifest = importer.manifest(
        {"source": "1.png", "annotation": [CAT, DOG], "hard": True, "usage": "TEST"},
        {"source": "2.png", "annotation": [machine]},
        {"source": "3.png", "annotation": [timeless]},
        {"source": "4.png"},
    )
    await importer.load(manifest)
    before, at = await state(importer), await revision(importer)
    for existing in ("KEEP", "OVERWRITE"):
        job = await importer.load(manifest, existing=existing)
        assert counted(job) == UNCHANGED | {"scanned": 4}
    assert (await state(importer), await revision(importer)) == (before, at)


async def test_labels_that_somebody_put_here_are_kept_unless_they_are_to_be_overwritten(
    importer: ImportFixture,
) -> None:
    importer.put("1.png", "2.png", "3.png")
    for name in ("1", "2", "3"):
        importer.dataset.put(f"{name}.txt", "old")
    await importer.dataset.sync()
    await importer.dataset.label_by_hand("1.png", "mine")
    await importer.dataset.label_by_hand("2.png")
    manifest = importer.manifest(*({"source": f"{n}.png", "annotation": [CAT], "usage": "TEST"} for n in (1, 2, 3)))
    job = await importer.load(manifest)
    assert await importer.dataset.labels() == {"1.png": ["mine"], "2.png": [], "3.png": ["cat"]}
    assert counted(job) == {"scanned": 3, "added": 0, "updated": 1, "labeled": 1, "skipped": 0}
    assert (await importer.dataset.sample("1.png"))["usage"] is None
    job = await importer.load(manifest, existing="OVERWRITE")
    assert await importer.dataset.labels() == {"1.png": ["cat"], "2.png": ["cat"], "3.png": ["cat"]}
    assert counted(job)["updated"] == 2
    assert (await importer.dataset.sample("1.png"))["labeled_by"] == "ann"


def test_of_labels_put_in_the_same_second_the_last_was_put_last() -> None:
    then = datetime(2026, 11, 23, tzinfo=UTC)
    authors = [Author("b", then), Author("c", then), Author("a", then - timedelta(days=1))]
    assert last_author(authors) == Author("c", then)
    assert last_author([Author("d"), *authors]) == Author("d")


async def test_a_line_without_labels_takes_labels_away_only_to_overwrite(importer: ImportFixture) -> None:
    importer.put("1.png")
    await importer.load(importer.manifest({"source": "1.png", "annotation": [CAT]}))
    empty = importer.manifest({"source": "1.png", "annotation": []}, name="empty.manifest")
    await importer.load(empty)
    assert await importer.dataset.labels() == {"1.png": ["cat"]}
    await importer.load(empty, existing="OVERWRITE")
    assert await importer.dataset.labels() == {"1.png": []}
    sample = await importer.dataset.sample("1.png")
    assert (sample["state"], sample["labeled_by"], sample["labeled_at"]) == ("UNLABELED", None, None)


async def test_an_annotation_that_stays_keeps_its_time(importer: ImportFixture) -> None:
    cat, dog = ({name: value for name, value in each.items() if name != "creation-time"} for each in (CAT, DOG))
    importer.put("1.png")
    await importer.load(importer.manifest({"source": "1.png", "annotation": [cat, dog]}))
    before = await importer.dataset.sample("1.png")
    await importer.load(importer.manifest({"source": "1.png", "annotation": [cat]}))
    after = await importer.dataset.sample("1.png")
    assert await importer.dataset.labels() == {"1.png": ["cat"]}
    assert (before["labeled_by"], after["labeled_by"]) == ("bob", "ann")
    assert after["labeled_at"] == before["labeled_at"]


async def test_a_sync_leaves_what_was_imported(importer: ImportFixture) -> None:
    importer.put("1.png")
    importer.dataset.put("1.txt", "old")
    await importer.load(importer.manifest({"source": "1.png", "annotation": [CAT]}))
    await importer.dataset.sync()
    assert await importer.dataset.labels() == {"1.png": ["cat"]}


async def test_only_what_differs_is_written(importer: ImportFixture) -> None:
    importer.put("1.png")
    await importer.load(importer.manifest({"source": "1.png", "annotation": [CAT, DOG]}))
    before = {row["name"]: row["id"] for row in await importer.dataset.rows(NAMED)}
    await importer.load(importer.manifest({"source": "1.png", "annotation": [CAT, DOG | {"name": "cow"}]}))
    after = {row["name"]: row["id"] for row in await importer.dataset.rows(NAMED)}
    assert after["cat"] == before["cat"]
    assert set(after) == {"cat", "cow"}


NAMED = "SELECT l.name, a.id FROM annotation a JOIN label l ON l.id = label_id"


async def test_a_sample_that_was_deleted_here_comes_back_only_if_asked(importer: ImportFixture) -> None:
    importer.put("1.png", "2.png")
    await importer.dataset.sync()
    for name in ("1.png", "2.png"):
        await importer.dataset.delete_by_hand(name)
    (importer.images / "2.png").write_bytes(image_bytes())
    manifest = importer.manifest({"source": "1.png", "annotation": [CAT]}, {"source": "2.png", "annotation": [DOG]})
    job = await importer.load(manifest)
    assert await importer.dataset.labels() == {"2.png": ["dog"]}, "its content is another: it is a new image"
    [(path, message)] = await importer.warnings(job)
    assert (path, "restoreRemoved" in message) == ("V001.manifest:1", True)
    await importer.load(manifest, restore_removed=True)
    assert await importer.dataset.labels() == {"1.png": ["cat"], "2.png": ["dog"]}


async def test_what_machines_put_is_a_suggestion_until_it_is_confirmed(importer: ImportFixture) -> None:
    importer.put("1.png", "2.png")
    machine = CAT | {"annotated-by": "modelarts/active-learning", "confidence": 0.75}
    manifest = importer.manifest(
        {"source": "1.png", "annotation": [machine]}, {"source": "2.png", "annotation": [machine, DOG]}
    )
    job = await importer.load(manifest)
    assert counted(job)["labeled"] == 1
    assert (await importer.dataset.sample("1.png"))["state"] == "PENDING"
    assert await importer.dataset.labels() == {"1.png": [], "2.png": ["dog"]}
    assert (await importer.annotations())[0][5:7] == (0.75, False)
    await importer.load(manifest, confirm_suggestions=True)
    assert await importer.dataset.labels() == {"1.png": ["cat"], "2.png": ["cat", "dog"]}


async def test_labels_can_be_chosen_and_left_out(importer: ImportFixture) -> None:
    importer.put("1.png", "2.png")
    manifest = importer.manifest(
        {"source": "1.png", "annotation": [CAT, DOG]}, {"source": "2.png", "annotation": [DOG]}
    )
    await importer.load(manifest, included=["cat"])
    assert await importer.dataset.labels() == {"1.png": ["cat"], "2.png": []}
    await importer.load(manifest, excluded=["cat"])
    assert await importer.dataset.labels() == {"1.png": ["dog"], "2.png": ["dog"]}


async def test_new_labels_have_the_colours_and_keys_that_the_manifest_gives_them(importer: ImportFixture) -> None:
    importer.put("1.png", "2.png")
    red = {"@modelarts:color": "#FF0000", "@modelarts:shortcut": "c"}
    wrong = {"@modelarts:color": "red", "@modelarts:shortcut": "c"}
    await importer.load(
        importer.manifest(
            {"source": "1.png", "annotation": [CAT | {"property": red}]},
            {"source": "2.png", "annotation": [DOG | {"property": wrong}]},
        )
    )
    rows = await importer.dataset.rows("SELECT name, color, shortcut FROM label ORDER BY name")
    assert [tuple(row) for row in rows] == [("cat", "#ff0000", "c"), ("dog", None, None)]


async def test_each_batch_is_a_change_that_can_be_undone(
    importer: ImportFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 2)
    importer.put("1.png", "2.png", "3.png")
    importer.dataset.put("1.txt", "old")
    await importer.dataset.sync()
    await importer.load(importer.manifest(*({"source": f"{n}.png", "annotation": [CAT]} for n in (1, 2, 3))))
    assert await importer.dataset.changes() == ["Sync: 3 added", "Import: 2 updated", "Import: 1 updated"]
    rows = await importer.dataset.rows("SELECT id, kind, actor FROM change ORDER BY id DESC")
    assert {(row["kind"], row["actor"]) for row in rows[:2]} == {("IMPORT", "ann")}
    for row in rows[:2]:
        await write(importer.dataset.database, partial(undo, change_id=row["id"], by=ANN), object)
    assert await importer.dataset.labels() == {"1.png": ["old"], "2.png": [], "3.png": []}


# -- images from elsewhere --------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(importer: ImportFixture) -> Path:
    return importer.folder / "elsewhere"


async def test_images_from_elsewhere_are_copied_under_their_paths_below_what_they_share(
    importer: ImportFixture, elsewhere: Path
) -> None:
    importer.put("a/1.png", "a/2.png", "b/1.png", root=elsewhere)
    manifest = importer.manifest(
        *({"source": path, "annotation": [CAT]} for path in ("a/1.png", "a/2.png", "b/1.png", "b/none.png")),
        root=elsewhere,
    )
    job = await importer.load(manifest)
    assert counted(job) == {"scanned": 4, "added": 3, "updated": 0, "labeled": 3, "skipped": 1}
    assert await importer.dataset.labels() == {"a/1.png": ["cat"], "a/2.png": ["cat"], "b/1.png": ["cat"]}
    for path in ("a/1.png", "a/2.png", "b/1.png"):
        assert (importer.images / path).read_bytes() == (elsewhere / path).read_bytes()
    [(where, message)] = await importer.warnings(job)
    assert (where, "b/none.png" in message) == ("V001.manifest:4", True)
    again = await importer.load(manifest)
    assert counted(again) == UNCHANGED | {"scanned": 4, "skipped": 1}
    job_of_sync = await importer.dataset.sync()
    assert (job_of_sync["added"], job_of_sync["updated"], job_of_sync["removed"]) == (0, 0, 0)


async def test_an_image_never_goes_over_another(importer: ImportFixture, elsewhere: Path) -> None:
    importer.put("1.png", "1-1.png")
    mine = (importer.images / "1.png").read_bytes()
    await importer.dataset.sync()
    importer.put("1.png", root=elsewhere)
    manifest = importer.manifest({"source": "1.png", "annotation": [CAT]}, root=elsewhere)
    for _ in range(2):
        await importer.load(manifest)
        assert await importer.dataset.labels() == {"1.png": [], "1-1.png": [], "1-2.png": ["cat"]}
    assert (importer.images / "1.png").read_bytes() == mine
    assert (importer.images / "1-2.png").read_bytes() == (elsewhere / "1.png").read_bytes()


async def test_an_image_that_is_there_already_is_not_copied_again(importer: ImportFixture, elsewhere: Path) -> None:
    importer.put("1.png", root=elsewhere)
    importer.images.joinpath("1.png").write_bytes((elsewhere / "1.png").read_bytes())
    await importer.dataset.sync()
    await importer.load(importer.manifest({"source": "1.png", "annotation": [CAT]}, root=elsewhere))
    assert await importer.dataset.labels() == {"1.png": ["cat"]}


async def test_an_image_does_not_take_the_place_of_a_sample_whose_file_is_gone(
    importer: ImportFixture, elsewhere: Path
) -> None:
    importer.put("1.png")
    await importer.dataset.sync()
    (importer.images / "1.png").unlink()
    importer.put("1.png", root=elsewhere)
    await importer.load(importer.manifest({"source": "1.png", "annotation": [CAT]}, root=elsewhere))
    assert await importer.dataset.labels() == {"1.png": [], "1-1.png": ["cat"]}
    assert not (importer.images / "1.png").exists()


async def test_a_path_whose_file_is_being_deleted_is_not_taken(importer: ImportFixture, elsewhere: Path) -> None:
    importer.put("1.png", "2.png")
    await importer.dataset.sync()
    for name in ("1.png", "2.png"):
        sample = await importer.dataset.sample(name)
        await importer.dataset.delete_by_hand(name)
        await importer.dataset.do(
            "INSERT INTO source_deletion (dataset_id, source_id, change_id, path, etag)"
            " SELECT dataset_id, $1, id, $2, 'e' FROM change LIMIT 1",
            sample["source_id"],
            name,
        )
    importer.put("1.png", root=elsewhere)
    here, there = importer.images / "2.png", elsewhere / "1.png"
    job = await importer.load(importer.manifest({"source": str(here)}, {"source": str(there), "annotation": [CAT]}))
    assert await importer.dataset.labels() == {"1-1.png": ["cat"]}
    [(path, message)] = await importer.warnings(job)
    assert (path, "being deleted" in message) == ("V001.manifest:1", True)


async def test_images_that_cannot_be_read_are_not_copied(importer: ImportFixture, elsewhere: Path) -> None:
    importer.put("good.png", root=elsewhere)
    (elsewhere / "bad.png").write_bytes(b"no image")
    (elsewhere / "large.png").write_bytes(image_bytes() + bytes(26 * 1024 * 1024))
    lines = [{"source": name} for name in ("good.png", "bad.png", "large.png", "none.png", "folder/none.png")]
    job = await importer.load(importer.manifest(*lines, root=elsewhere))
    assert counted(job) == {"scanned": 5, "added": 1, "updated": 0, "labeled": 0, "skipped": 4}
    assert sorted(path.name for path in importer.images.iterdir()) == ["good.png"]


async def test_images_that_share_no_folder_keep_their_whole_paths(importer: ImportFixture) -> None:
    importer.put("1.png", root=importer.folder / "x")
    job = await importer.load(
        importer.manifest({"source": f"{importer.folder}/x/1.png"}, {"source": "s3://bucket/a/2.png"})
    )
    [path] = await importer.dataset.labels()
    assert path == f"{importer.folder}/x/1.png"[1:]
    [(where, message)] = await importer.warnings(job)
    assert (where, "may not read this location" in message) == ("V001.manifest:2", True)


async def test_with_a_source_root_what_lies_here_is_what_was_meant_though_the_old_place_be_gone(
    importer: ImportFixture,
) -> None:
    importer.put("a/1.png", "b/2.png")
    manifest = importer.manifest(
        {"source": "obs://old/images/a/1.png", "annotation": [CAT]},
        {"source": "s3://old/images/b/2.png", "annotation": [DOG]},
        {"source": "s3://old/images/b/3.png"},
        {"source": "s3://old/else/b/2.png"},
    )
    job = await importer.load(manifest, source_root="obs://old/images")
    assert await importer.dataset.labels() == {"a/1.png": ["cat"], "b/2.png": ["dog"]}
    assert [path for path, _ in await importer.warnings(job)] == ["V001.manifest:4", "V001.manifest:3"]


async def test_nothing_is_read_where_the_server_may_not_read(
    importer: ImportFixture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    importer.put("1.png", root=outside)
    importer.put("2.png")
    (importer.folder / "link").symlink_to(outside)
    job = await importer.load(
        importer.manifest(
            {"source": f"{outside}/1.png"}, {"source": f"{importer.folder}/link/1.png"}, {"source": "2.png"}
        )
    )
    assert counted(job)["skipped"] == 2
    assert list(await importer.dataset.labels()) == ["2.png"]


async def test_a_confined_token_reads_only_where_its_datasets_lie(importer: ImportFixture, elsewhere: Path) -> None:
    importer.put("1.png", root=elsewhere)
    manifest = importer.manifest({"source": "1.png", "annotation": [CAT]}, root=elsewhere, name="images/m.manifest")
    job = await importer.load(manifest, dataset_ids=[importer.dataset.dataset_id])
    assert counted(job) == {"scanned": 1, "added": 0, "updated": 0, "labeled": 0, "skipped": 1}
    [(_, message)] = await importer.warnings(job)
    assert "may not read" in message


# -- together with others ---------------------------------------------------------------------------------------------


async def test_a_dataset_has_one_import_or_one_sync_at_a_time(importer: ImportFixture) -> None:
    manifest = importer.manifest()
    running = await importer.start(manifest)
    with pytest.raises(Conflict) as again:
        await importer.start(manifest)
    assert (again.value.code, again.value.details) == ("DATASET_BUSY", {"jobId": f"ImportJob:{running}"})
    with pytest.raises(Conflict) as refused:
        await importer.dataset.start()
    assert (refused.value.code, refused.value.details) == ("DATASET_BUSY", {"jobId": f"ImportJob:{running}"})
    await importer.work(running)
    syncing = await importer.dataset.start()
    with pytest.raises(Conflict) as during:
        await importer.start(manifest)
    assert (during.value.code, during.value.details) == ("DATASET_BUSY", {"jobId": f"SyncJob:{syncing}"})


async def test_people_label_and_delete_while_an_import_runs(
    importer: ImportFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 1)
    importer.put(*(f"{n}.png" for n in range(6)))
    await importer.dataset.sync()
    manifest = importer.manifest(*({"source": f"{n}.png", "annotation": [CAT]} for n in range(6)))
    job_id = await importer.start(manifest)

    async def people() -> None:
        mine = LabelWith(labels=["mine"], mode="SET", create_missing=True)
        await write(
            importer.dataset.database,
            partial(label, dataset_id=id, selection=await selected("5"), how=mine, by=ANN),
            object,
        )
        await write(
            importer.dataset.database, partial(delete, dataset_id=id, selection=await selected("4"), by=ANN), object
        )

    async def selected(name: str) -> Selection:
        return Selection(ids=[(await importer.dataset.sample(f"{name}.png"))["id"]])

    id = importer.dataset.dataset_id
    await asyncio.gather(importer.work(job_id), people())
    async with importer.dataset.database.reading() as connection:
        assert await check.recount(connection, id) == []
    labels = await importer.dataset.labels()
    assert labels["5.png"] == ["mine"]
    assert "4.png" not in labels
    assert [labels[f"{n}.png"] for n in range(4)] == [["cat"]] * 4


async def test_of_many_imports_and_syncs_asked_for_at_once_one_is_made(importer: ImportFixture) -> None:
    manifest = importer.manifest()
    requests = [importer.start(manifest) if number % 2 else importer.dataset.start() for number in range(8)]
    answers = await asyncio.gather(*requests, return_exceptions=True)
    [made] = [answer for answer in answers if isinstance(answer, int)]
    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(refused) == 7
    assert {answer.details["jobId"].partition(":")[2] for answer in refused} == {str(made)}
