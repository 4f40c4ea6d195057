"""What a sync makes of single files: images that cannot be read, and label files beside images."""

import pytest

from db import jobs
from db.formats.images import USUAL, Caps
from db.ingest import sync
from db.ingest.sync import stages
from db.postgres.engine import Database
from tests.db.world import WORKER, World, counted, picture


async def test_an_unreadable_image_is_told_and_tried_again_when_it_changes(place: World) -> None:
    place.put("a.jpg", b"\xff\xd8 this is no image")
    job = await place.sync()
    assert counted(job, skipped=1)
    [(path, message)] = await place.warnings(job["id"])
    assert path == "a.jpg"
    assert "cannot be read" in message
    assert counted(await place.sync(), skipped=1)
    place.put("a.jpg", picture(form="JPEG"))
    assert counted(await place.sync(), added=1)


async def test_an_image_that_was_spoilt_keeps_its_sample(place: World) -> None:
    place.put("a.png")
    place.put("a.txt", "cat")
    await place.sync()
    good = picture()
    place.put("a.png", b"half a fi")
    assert counted(await place.sync(), skipped=1)
    assert await place.labels() == {"a.png": ["cat"]}
    place.put("a.png", good)
    assert counted(await place.sync(), updated=1)


async def test_an_image_that_is_too_large_is_told(place: World) -> None:
    data = picture()
    place.put("fits.png", data + b"\0" * (USUAL.size - len(data)))
    place.put("large.png", data + b"\0" * (USUAL.size - len(data) + 1))
    job = await place.sync()
    assert counted(job, added=1, skipped=1)
    [(path, message)] = await place.warnings(job["id"])
    assert path == "large.png"
    assert "25 MiB" in message


async def test_the_owner_says_how_large_an_image_may_be(place: World, database: Database) -> None:
    data = picture(size=(20, 10))
    place.put("fits.png", data)
    place.put("heavy.png", data + b"\0" * 9)
    place.put("large.png", picture(size=(21, 10)))
    job_id = await place.start()
    claim = await jobs.claim(database, job_id, WORKER)
    assert claim is not None
    await sync.run(database, claim, place.store, Caps(size=len(data) + 8, pixels=200))
    assert list(await place.labels()) == ["fits.png"]
    told = dict(await place.warnings(job_id))
    assert "at most" in told["heavy.png"]
    assert "21 × 10 pixels" in told["large.png"]


async def test_long_metadata_does_not_hide_an_image(place: World) -> None:
    plain = picture(form="JPEG", size=(11, 12))
    filler = b"\xff\xe4" + (60_000).to_bytes(2, "big") + b"\0" * 59_998
    place.put("a.jpg", plain[:2] + filler * 3 + plain[2:])
    await place.sync()
    assert (await place.sample("a.jpg"))["height"] == 12


async def test_a_bad_sidecar_is_told_by_line_and_the_rest_of_it_counts(place: World) -> None:
    place.put("d/a.png")
    place.put("d/a.txt", "cat\nnot a label!\n\ndog\n")
    job = await place.sync()
    assert await place.labels() == {"d/a.png": ["cat", "dog"]}
    [(path, message)] = await place.warnings(job["id"])
    assert path == "d/a.txt:2"
    assert "not a label!" in message


async def test_a_changed_sidecar_relabels_what_no_person_labelled(place: World) -> None:
    place.put("a.png")
    place.put("a.txt", "cat\ndog")
    await place.sync()
    place.put("a.txt", "dog\nbird")
    job = await place.sync()
    assert counted(job, updated=1)
    assert await place.labels() == {"a.png": ["bird", "dog"]}
    kept = await place.rows("SELECT since FROM annotation ORDER BY since")
    assert [row["since"] for row in kept] == [1, 2]
    gone = await place.rows("SELECT until FROM annotation_past")
    assert [row["until"] for row in gone] == [2]


async def test_a_sidecar_that_comes_later_labels(place: World) -> None:
    place.put("a.png")
    await place.sync()
    place.put("a.txt", "cat")
    assert counted(await place.sync(), updated=1)
    assert await place.labels() == {"a.png": ["cat"]}


async def test_an_emptied_sidecar_takes_labels_away_and_a_removed_one_leaves_them(place: World) -> None:
    for name in ("a", "b"):
        place.put(f"{name}.png")
        place.put(f"{name}.txt", "cat")
    await place.sync()
    place.put("a.txt", "")
    place.remove("b.txt")
    assert counted(await place.sync(), updated=1)
    assert await place.labels() == {"a.png": [], "b.png": ["cat"]}
    assert (await place.sample("a.png"))["state"] == "UNLABELED"


async def test_a_sidecar_does_not_write_over_a_person(place: World) -> None:
    place.put("a.png")
    place.put("a.txt", "cat")
    await place.sync()
    await place.label_by_hand("a.png", "dog")
    place.put("a.txt", "bird")
    assert counted(await place.sync())
    assert await place.labels() == {"a.png": ["dog"]}


async def test_labels_that_a_person_cleared_stay_cleared(place: World) -> None:
    place.put("a.png")
    place.put("a.txt", "cat")
    await place.sync()
    await place.label_by_hand("a.png")
    place.put("a.txt", "bird")
    await place.sync()
    assert await place.labels() == {"a.png": []}


async def test_a_sidecar_writes_over_a_person_when_asked_to(place: World) -> None:
    place.put("a.png")
    place.put("a.txt", "cat")
    await place.sync()
    await place.label_by_hand("a.png", "dog")
    assert counted(await place.sync(existing="OVERWRITE"), updated=1)
    assert await place.labels() == {"a.png": ["cat"]}
    assert (await place.sample("a.png"))["labeled_by"] == "sync"
    assert counted(await place.sync(existing="OVERWRITE"))


async def test_a_suggestion_that_the_sidecar_confirms_becomes_a_label(place: World) -> None:
    place.put("a.png")
    place.put("b.png")
    place.put("b.txt", "cat")
    await place.sync()
    sample = await place.sample("a.png")
    await place.do(
        "INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confirmed, confidence, since)"
        " SELECT dataset_id, $1, id, 'robot', 'MODEL', false, 0.5, 1 FROM label",
        sample["id"],
    )
    await place.do("UPDATE sample SET state = 'PENDING' WHERE id = $1", sample["id"])
    place.put("a.txt", "cat")
    assert counted(await place.sync(), updated=1)
    assert (await place.sample("a.png"))["state"] == "LABELED"
    [dataset] = await place.rows("SELECT labeled, pending FROM dataset")
    assert tuple(dataset) == (2, 0)


async def test_a_batch_compares_a_bounded_number_of_annotations(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        place.put(f"{number}.png")
        place.put(f"{number}.txt", "a\nb\nc\nd")
    await place.sync()
    monkeypatch.setattr(stages, "ENOUGH", 10)
    for number in range(6):
        place.put(f"{number}.txt", "a")
    assert counted(await place.sync(), updated=6)
    assert (await place.changes())[1:] == ["Sync: 2 updated"] * 3


async def test_one_sample_with_more_than_a_batch_may_compare_is_a_batch(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("a.png")
    place.put("a.txt", "a\nb\nc\nd")
    await place.sync()
    monkeypatch.setattr(stages, "ENOUGH", 3)
    place.put("a.txt", "a")
    assert counted(await place.sync(), updated=1)
