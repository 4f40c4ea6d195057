"""Single files in a sync: images that cannot be read, and label files next to images."""

import pytest

from db import jobs
from db.formats.images import DEFAULT_LIMITS, ImageLimits
from db.ingest import sync
from db.ingest.sync import stages
from db.postgres.engine import Database
from tests.db.dataset_fixture import WORKER, DatasetFixture, counted, image_bytes


async def test_an_unreadable_image_is_reported_and_tried_again_when_it_changes(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg", b"\xff\xd8 this is no image")
    job = await dataset.sync()
    assert counted(job, skipped=1)
    [(path, message)] = await dataset.warnings(job["id"])
    assert path == "a.jpg"
    assert "cannot be read" in message
    assert counted(await dataset.sync(), skipped=1)
    dataset.put("a.jpg", image_bytes(form="JPEG"))
    assert counted(await dataset.sync(), added=1)


async def test_an_image_that_was_spoilt_keeps_its_sample(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("a.txt", "cat")
    await dataset.sync()
    good = image_bytes()
    dataset.put("a.png", b"half a fi")
    assert counted(await dataset.sync(), skipped=1)
    assert await dataset.labels() == {"a.png": ["cat"]}
    dataset.put("a.png", good)
    assert counted(await dataset.sync(), updated=1)


async def test_an_image_that_is_too_large_is_reported(dataset: DatasetFixture) -> None:
    data = image_bytes()
    dataset.put("fits.png", data + b"\0" * (DEFAULT_LIMITS.size - len(data)))
    dataset.put("large.png", data + b"\0" * (DEFAULT_LIMITS.size - len(data) + 1))
    job = await dataset.sync()
    assert counted(job, added=1, skipped=1)
    [(path, message)] = await dataset.warnings(job["id"])
    assert path == "large.png"
    assert "25 MiB" in message


async def test_the_owner_says_how_large_an_image_may_be(dataset: DatasetFixture, database: Database) -> None:
    data = image_bytes(size=(20, 10))
    dataset.put("fits.png", data)
    dataset.put("heavy.png", data + b"\0" * 9)
    dataset.put("large.png", image_bytes(size=(21, 10)))
    job_id = await dataset.start()
    claim = await jobs.claim(database, WORKER)
    assert claim is not None
    await sync.run(database, claim, dataset.store, ImageLimits(size=len(data) + 8, pixels=200))
    assert list(await dataset.labels()) == ["fits.png"]
    messages = dict(await dataset.warnings(job_id))
    assert "at most" in messages["heavy.png"]
    assert "21 × 10 pixels" in messages["large.png"]


async def test_long_metadata_does_not_hide_an_image(dataset: DatasetFixture) -> None:
    plain = image_bytes(form="JPEG", size=(11, 12))
    filler = b"\xff\xe4" + (60_000).to_bytes(2, "big") + b"\0" * 59_998
    dataset.put("a.jpg", plain[:2] + filler * 3 + plain[2:])
    await dataset.sync()
    assert (await dataset.sample("a.jpg"))["height"] == 12


async def test_a_bad_sidecar_is_reported_by_line_and_the_rest_of_it_counts(dataset: DatasetFixture) -> None:
    dataset.put("d/a.png")
    dataset.put("d/a.txt", "cat\nnot a label!\n\ndog\n")
    job = await dataset.sync()
    assert await dataset.labels() == {"d/a.png": ["cat", "dog"]}
    [(path, message)] = await dataset.warnings(job["id"])
    assert path == "d/a.txt:2"
    assert "not a label!" in message


async def test_a_changed_sidecar_relabels_what_no_person_labelled(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("a.txt", "cat\ndog")
    await dataset.sync()
    dataset.put("a.txt", "dog\nbird")
    job = await dataset.sync()
    assert counted(job, updated=1)
    assert await dataset.labels() == {"a.png": ["bird", "dog"]}
    kept = await dataset.rows("SELECT since FROM annotation ORDER BY since")
    assert [row["since"] for row in kept] == [1, 2]
    gone = await dataset.rows("SELECT until FROM annotation_past")
    assert [row["until"] for row in gone] == [2]


async def test_a_sidecar_that_comes_later_labels(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    await dataset.sync()
    dataset.put("a.txt", "cat")
    assert counted(await dataset.sync(), updated=1)
    assert await dataset.labels() == {"a.png": ["cat"]}


async def test_an_emptied_sidecar_takes_labels_away_and_a_removed_one_leaves_them(dataset: DatasetFixture) -> None:
    for name in ("a", "b"):
        dataset.put(f"{name}.png")
        dataset.put(f"{name}.txt", "cat")
    await dataset.sync()
    dataset.put("a.txt", "")
    dataset.remove("b.txt")
    assert counted(await dataset.sync(), updated=1)
    assert await dataset.labels() == {"a.png": [], "b.png": ["cat"]}
    assert (await dataset.sample("a.png"))["state"] == "UNLABELED"


async def test_a_sidecar_does_not_write_over_a_person(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("a.txt", "cat")
    await dataset.sync()
    await dataset.label_by_hand("a.png", "dog")
    dataset.put("a.txt", "bird")
    assert counted(await dataset.sync())
    assert await dataset.labels() == {"a.png": ["dog"]}


async def test_labels_that_a_person_cleared_stay_cleared(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("a.txt", "cat")
    await dataset.sync()
    await dataset.label_by_hand("a.png")
    dataset.put("a.txt", "bird")
    await dataset.sync()
    assert await dataset.labels() == {"a.png": []}


async def test_a_sidecar_writes_over_a_person_when_asked_to(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("a.txt", "cat")
    await dataset.sync()
    await dataset.label_by_hand("a.png", "dog")
    assert counted(await dataset.sync(existing="OVERWRITE"), updated=1)
    assert await dataset.labels() == {"a.png": ["cat"]}
    assert (await dataset.sample("a.png"))["labeled_by"] == "sync"
    assert counted(await dataset.sync(existing="OVERWRITE"))


async def test_a_suggestion_that_the_sidecar_confirms_becomes_a_label(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    dataset.put("b.png")
    dataset.put("b.txt", "cat")
    await dataset.sync()
    sample = await dataset.sample("a.png")
    await dataset.do(
        "INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confirmed, confidence, since)"
        " SELECT dataset_id, $1, id, 'robot', 'MODEL', false, 0.5, 1 FROM label",
        sample["id"],
    )
    await dataset.do("UPDATE sample SET state = 'PENDING' WHERE id = $1", sample["id"])
    dataset.put("a.txt", "cat")
    assert counted(await dataset.sync(), updated=1)
    assert (await dataset.sample("a.png"))["state"] == "LABELED"
    [row] = await dataset.rows("SELECT labeled, pending FROM dataset")
    assert tuple(row) == (2, 0)


async def test_a_batch_compares_a_bounded_number_of_annotations(
    dataset: DatasetFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        dataset.put(f"{number}.png")
        dataset.put(f"{number}.txt", "a\nb\nc\nd")
    await dataset.sync()
    monkeypatch.setattr(stages, "MAX_ANNOTATIONS", 10)
    for number in range(6):
        dataset.put(f"{number}.txt", "a")
    assert counted(await dataset.sync(), updated=6)
    assert (await dataset.changes())[1:] == ["Sync: 2 updated"] * 3


async def test_one_sample_with_more_than_a_batch_may_compare_is_a_batch(
    dataset: DatasetFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.put("a.png")
    dataset.put("a.txt", "a\nb\nc\nd")
    await dataset.sync()
    monkeypatch.setattr(stages, "MAX_ANNOTATIONS", 3)
    dataset.put("a.txt", "a")
    assert counted(await dataset.sync(), updated=1)
