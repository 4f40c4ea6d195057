"""Samples belong to pictures: what a sync makes of files that were renumbered, swapped, copied over, moved and tagged."""

import io
import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from db import counts, sync
from db.engine import Database
from db.errors import Conflict, StorageError
from db.storage import LocalStore, MemoryStore, ObjectMissing, Page
from db.sync import moves, stages
from db.sync.options import Guard
from tests.db import world
from tests.db.deaths import Life
from tests.db.test_sync_crashes import live, recover, state
from tests.db.world import World, counted, picture

FOUR = ("001.png", "002.png", "003.png", "004.png")


async def labelled(place: World, *paths: str, by_hand: bool = True) -> dict[str, int]:
    """Samples of different pictures, each with a label of its own. Their ids by path."""
    for path in paths:
        place.put(path)
        if not by_hand:
            place.put(path.replace(".png", ".txt"), _label(path))
    await place.sync()
    for path in paths if by_hand else ():
        await place.label_by_hand(path, _label(path))
    return await ids(place)


def _label(path: str) -> str:
    return "L" + "".join(filter(str.isalnum, path.removesuffix(".png")))


async def ids(place: World) -> dict[str, int]:
    rows = await place.rows("SELECT path, id FROM sample WHERE dataset_id = $1", place.dataset_id)
    return {row["path"]: row["id"] for row in rows}


async def expect_true_counts(place: World) -> None:
    async with place.database.reading() as connection:
        wrong = await counts.check(connection, place.dataset_id)
    assert [line for line in wrong if "revision" not in line] == []


@pytest.mark.parametrize("by_hand", [True, False])
async def test_labels_follow_files_that_were_renumbered(place: World, by_hand: bool) -> None:
    before = await labelled(place, *FOUR, by_hand=by_hand)
    place.rearrange({"001.png": "002.png", "002.png": "003.png", "003.png": "004.png"})
    place.remove("004.png")
    job = await place.sync()
    assert counted(job, moved=3, removed=1)
    assert await place.labels() == {"001.png": ["L002"], "002.png": ["L003"], "003.png": ["L004"]}
    assert await ids(place) == {path: before[origin] for path, origin in itertools.pairwise(FOUR)}
    assert (await place.changes())[-1] == "Sync: 3 moved, 1 removed"
    past = await place.rows("SELECT path FROM sample_past WHERE until = (SELECT max(revision) FROM change) ORDER BY 1")
    assert [row["path"] for row in past] == list(FOUR), "history keeps each path as it was"
    assert counted(await place.sync())
    await expect_true_counts(place)


@pytest.mark.parametrize("length", [2, 3, 7])
async def test_labels_follow_files_in_a_ring(place: World, length: int) -> None:
    paths = [f"{number}.png" for number in range(length)]
    before = await labelled(place, *paths)
    ring = dict(zip(paths, [*paths[1:], paths[0]], strict=True))
    place.rearrange(ring)
    assert counted(await place.sync(), moved=length)
    assert await ids(place) == {path: before[origin] for path, origin in ring.items()}
    assert await place.labels() == {path: [_label(origin)] for path, origin in ring.items()}
    assert counted(await place.sync())


async def test_a_ring_longer_than_a_batch_is_one_change(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "BATCH", 4)
    monkeypatch.setattr(moves, "BATCH", 4)
    paths = [f"{number:02}.png" for number in range(30)]
    before = await labelled(place, *paths)
    ring = dict(zip(paths, [*paths[1:], paths[0]], strict=True))
    place.rearrange(ring)
    changes = len(await place.changes())
    assert counted(await place.sync(), moved=30)
    assert (await place.changes())[changes:] == ["Sync: 30 moved"]
    assert await ids(place) == {path: before[origin] for path, origin in ring.items()}


async def test_a_moved_file_may_leave_its_place_to_another(place: World) -> None:
    before = await labelled(place, "a.png")
    place.move("a.png", "b.png")
    place.put("a.png")
    assert counted(await place.sync(), moved=1, added=1)
    assert await place.labels() == {"a.png": [], "b.png": ["La"]}
    assert (await ids(place))["b.png"] == before["a.png"]


async def test_a_copy_in_anothers_place_is_a_new_sample_without_its_labels(place: World) -> None:
    before = await labelled(place, "001.png", "002.png")
    place.rearrange({"002.png": "001.png"})
    job = await place.sync()
    assert counted(job, added=1, removed=1)
    assert await place.labels() == {"001.png": ["L001"], "002.png": []}
    after = await ids(place)
    assert after["001.png"] == before["001.png"]
    assert after["002.png"] != before["002.png"]
    [(path, message)] = await place.warnings(job["id"])
    assert path == "002.png"
    assert "copy of `001.png`" in message
    assert counted(await place.sync())


async def test_unknown_content_in_a_place_keeps_its_labels(place: World) -> None:
    before = await labelled(place, "a.png", "b.png")
    place.put("a.png")
    assert counted(await place.sync(), updated=1)
    assert await place.labels() == {"a.png": ["La"], "b.png": ["Lb"]}
    assert await ids(place) == before


async def test_equal_pictures_are_matched_by_name_and_then_by_path(place: World) -> None:
    for path in ("x/1.png", "x/2.png", "x/3.png"):
        place.put(path, picture("red"))
    await place.sync()
    before = await ids(place)
    place.move("x/1.png", "y/b.png")
    place.move("x/2.png", "y/a.png")
    place.move("x/3.png", "y/3.png")
    assert counted(await place.sync(), moved=3)
    assert await ids(place) == {
        "y/3.png": before["x/3.png"], "y/a.png": before["x/1.png"], "y/b.png": before["x/2.png"],
    }  # fmt: skip


async def test_sidecars_that_move_with_their_images_change_nothing(place: World) -> None:
    before = await labelled(place, *FOUR, by_hand=False)
    ring = dict(zip(FOUR, [*FOUR[1:], FOUR[0]], strict=True))
    place.rearrange(ring)
    place.rearrange({path.replace("png", "txt"): origin.replace("png", "txt") for path, origin in ring.items()})
    assert counted(await place.sync(), moved=4)
    assert await place.labels() == {path: [_label(origin)] for path, origin in ring.items()}
    assert await ids(place) == {path: before[origin] for path, origin in ring.items()}
    assert counted(await place.sync())


async def test_a_sidecar_that_stayed_does_not_label_what_moved_there(place: World) -> None:
    await labelled(place, "001.png", "002.png", by_hand=False)
    place.rearrange({"001.png": "002.png"})
    place.remove("002.png")
    assert counted(await place.sync(), moved=1, removed=1)
    assert await place.labels() == {"001.png": ["L002"]}
    assert counted(await place.sync()), "nor does it later"
    place.put("001.txt", "new")
    assert counted(await place.sync(), updated=1)
    assert await place.labels() == {"001.png": ["new"]}


async def test_a_new_sidecar_at_the_new_place_labels_what_no_person_labelled(place: World) -> None:
    await labelled(place, "a.png", by_hand=False)
    await labelled(place, "b.png")
    place.move("a.png", "c/a.png")
    place.move("b.png", "c/b.png")
    place.put("c/a.txt", "said")
    place.put("c/b.txt", "said")
    assert counted(await place.sync(), moved=2, updated=1)
    assert await place.labels() == {"c/a.png": ["said"], "c/b.png": ["Lb"]}


async def test_a_deleted_sample_stays_deleted_when_its_file_moves(place: World) -> None:
    await labelled(place, "a.png", "b.png")
    await place.delete_by_hand("a.png")
    place.rearrange({"a.png": "b.png", "b.png": "a.png"})
    assert counted(await place.sync(), moved=1)
    assert await place.labels() == {"a.png": ["Lb"]}
    assert counted(await place.sync())
    assert counted(await place.sync(restore_removed=True), added=1)


async def test_a_sync_that_removes_nothing_missing_moves_all_the_same(place: World) -> None:
    before = await labelled(place, "a.png", "b.png", "c.png")
    place.rearrange({"a.png": "b.png", "b.png": "a.png"})
    place.remove("c.png")
    assert counted(await place.sync(remove_missing=False), moved=2)
    after = await ids(place)
    assert after == {"a.png": before["b.png"], "b.png": before["a.png"], "c.png": before["c.png"]}


async def test_nothing_gives_way_while_a_directory_cannot_be_read(database: Database) -> None:
    place = await world.memory(database)
    assert isinstance(place.store, MemoryStore)
    await labelled(place, *FOUR, "closed/a.png")
    before = await ids(place)
    place.rearrange({"001.png": "002.png", "002.png": "003.png", "003.png": "004.png"})
    place.remove("004.png")
    listed = place.store.pages

    async def pages() -> Any:
        async for page in listed():
            yield Page([one for one in page.objects if not one.path.startswith("closed/")], ("closed",))

    place.store.pages = pages  # type: ignore[method-assign]
    job = await place.sync()
    assert counted(job, skipped=3)
    assert await ids(place) == before
    assert await place.labels() == {path: [_label(path)] for path in before}
    del place.store.pages  # type: ignore[method-assign]
    assert counted(await place.sync(), moved=3, removed=1)
    assert await place.labels() == {
        "001.png": ["L002"], "002.png": ["L003"], "003.png": ["L004"], "closed/a.png": ["Lcloseda"],
    }  # fmt: skip


class Shy(LocalStore):
    """A directory in which some files cannot be read."""

    shut: tuple[str, ...] = ()

    def _head(self, path: str, length: int) -> Any:
        if path in self.shut:
            raise StorageError("The store could not do it: Permission denied.")
        return super()._head(path, length)


@pytest.mark.parametrize("shut", ["moved.png", "covered.png"])
async def test_what_cannot_be_read_is_not_what_has_vanished(database: Database, tmp_path: Path, shut: str) -> None:
    store = Shy(tmp_path)
    place = await world.make(database, store, tmp_path)
    await labelled(place, "a.png", "b.png")
    place.move("a.png", "moved.png")
    if shut == "covered.png":
        place.move("moved.png", "covered.png")
        place.move("b.png", "a.png")
    store.shut = (shut,)
    job = await place.sync()
    assert job["removed"] == 0
    store.shut = ()
    await place.sync()
    labels = await place.labels()
    assert labels[shut] == ["La"]
    assert labels.get("b.png", labels.get("a.png")) == ["Lb"]


async def test_a_file_that_goes_while_it_is_looked_at_costs_no_label(database: Database, tmp_path: Path) -> None:
    class Hurried(LocalStore):
        def _head(self, path: str, length: int) -> Any:
            if path == "a.png":
                raise ObjectMissing
            return super()._head(path, length)

    place = await world.local(database, tmp_path)
    before = await labelled(place, "a.png")
    place.put("b.png", (tmp_path / "a.png").read_bytes())
    place.touch("a.png")
    place.store = Hurried(tmp_path)
    assert counted(await place.sync(), moved=1)
    assert await ids(place) == {"b.png": before["a.png"]}


# -- dying in the middle ----------------------------------------------------------------------------------------------


async def rearranged(database: Database, folder: Path) -> World:
    """On a local disk, where contents must be read before anything can be matched."""
    folder.mkdir()
    place = await world.local(database, folder)
    names = [f"{kind}{number}" for kind in ("ring", "chain") for number in range(4)] + [
        "swap0",
        "swap1",
        "kept",
        "gone",
    ]
    for number, name in enumerate(names):
        place.put(f"{name}.png", picture((number, 1, 1)))
        place.put(f"{name}.txt", name)
    await place.sync()
    place.rearrange({"swap0.png": "swap1.png", "swap1.png": "swap0.png", "gone.png": "kept.png"})
    place.rearrange({f"ring{number}.png": f"ring{(number + 1) % 4}.png" for number in range(4)})
    place.rearrange({f"chain{number}.png": f"chain{number + 1}.png" for number in range(3)})
    place.remove("chain3.png")
    place.put("new.png", picture((99, 9, 9)))
    return place


async def test_a_death_at_any_step_of_a_renumbering_leaves_no_trace(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "BATCH", 3)
    monkeypatch.setattr(moves, "BATCH", 3)
    place = await rearranged(database, tmp_path / "clean")
    job_id = await place.start()
    assert await live(place, job_id, Life())
    clean = await state(place, job_id)
    assert clean["counters"] | {"scanned": 0} == {
        "scanned": 0, "ignored": 0, "added": 2, "updated": 0, "removed": 2, "moved": 9, "skipped": 0,
    }  # fmt: skip
    for step in itertools.count():
        place = await rearranged(database, tmp_path / str(step))
        job_id = await place.start()
        if await live(place, job_id, Life(step)):
            break
        if step % 2:
            await place.do("TRUNCATE sync_item, sync_object")  # as a crash of Postgres does
        await recover(place, job_id)
        assert await state(place, job_id) == clean, f"after a death at step {step}"
    assert step > 25, "the scenario has become too small to tell anything"


# -- files whose metadata was rewritten -------------------------------------------------------------------------------


def tagged(data: bytes, text: str) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        if image.format == "PNG":
            info = PngInfo()
            info.add_text("Comment", text)
            image.save(out, "PNG", pnginfo=info)
            return out.getvalue()
    segment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text.encode()
    return data[:2] + segment + data[2:]


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
async def test_labels_follow_a_file_that_was_moved_and_tagged(database: Database, tmp_path: Path, form: str) -> None:
    place = await world.local(database, tmp_path)
    suffix = {"PNG": "png", "JPEG": "jpg"}[form]
    data = place.put(f"a.{suffix}", picture(form=form, size=(20, 10)))
    await place.sync()
    await place.label_by_hand(f"a.{suffix}", "cat")
    before = await place.sample(f"a.{suffix}")
    place.remove(f"a.{suffix}")
    place.put(f"sorted/b.{suffix}", tagged(data, "a cat"))
    assert counted(await place.sync(), moved=1)
    after = await place.sample(f"sorted/b.{suffix}")
    assert (after["id"], after["label_ids"], after["width"]) == (before["id"], before["label_ids"], 20)
    assert after["source_id"] != before["source_id"], "versions know the file as it was"
    assert counted(await place.sync())


async def test_tagging_in_place_is_an_update_also_while_others_move(database: Database, tmp_path: Path) -> None:
    place = await world.local(database, tmp_path)
    before = await labelled(place, "a.png", "b.png")
    data = (tmp_path / "a.png").read_bytes()
    place.put("a.png", tagged(data, "one"))
    place.move("b.png", "c.png")
    assert counted(await place.sync(), updated=1, moved=1)
    assert await ids(place) == {"a.png": before["a.png"], "c.png": before["b.png"]}


# -- contents that sizes and times do not tell ------------------------------------------------------------------------


def replaced_in_secret(path: Path, data: bytes) -> None:
    """Another file with the name, size and time of the one before, as `rsync -t` leaves it."""
    before = path.stat()
    assert before.st_size == len(data)
    part = path.with_suffix(".new")
    part.write_bytes(data)
    os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
    part.replace(path)


async def test_a_file_replaced_by_another_of_its_size_and_time_is_noticed(database: Database, tmp_path: Path) -> None:
    place = await world.local(database, tmp_path)
    place.put("a.bmp", picture("red", form="BMP"))
    await place.sync()
    before = await place.sample("a.bmp")
    assert counted(await place.sync())
    replaced_in_secret(tmp_path / "a.bmp", picture("blue", form="BMP"))
    assert counted(await place.sync(), updated=1)
    assert (await place.sample("a.bmp"))["source_id"] != before["source_id"]
    assert counted(await place.sync())


async def test_another_change_time_alone_is_no_change(database: Database, tmp_path: Path) -> None:
    place = await world.local(database, tmp_path)
    place.put("a.png")
    await place.sync()
    (tmp_path / "a.png").chmod(0o600)
    assert counted(await place.sync())
    assert len(await place.changes()) == 1


async def test_contents_are_verified_when_asked_to(database: Database, tmp_path: Path) -> None:
    """On a file system that tells no change times, only reading tells."""
    place = await world.local(database, tmp_path)
    place.put("a.bmp", picture("red", form="BMP"))
    await place.sync()
    replaced_in_secret(tmp_path / "a.bmp", picture("blue", form="BMP"))
    await place.do("UPDATE source SET changed_at = NULL")
    assert counted(await place.sync())
    assert counted(await place.sync(verify_contents=True), updated=1)


# -- shapes on an image that became smaller ---------------------------------------------------------------------------


async def test_shapes_beyond_a_smaller_image_are_kept_and_reported(database: Database) -> None:
    place = await world.make(database, MemoryStore(), kind="OBJECT_DETECTION")
    place.put("a.png", picture(size=(64, 48)))
    await place.sync()
    sample = await place.sample("a.png")
    await place.do("INSERT INTO label (dataset_id, name, since) VALUES ($1, 'cat', 0)", place.dataset_id)
    outside = (
        '{"type": "BoundingBox", "xMin": 1, "yMin": 1, "xMax": 33, "yMax": 2}',
        '{"type": "Polygon", "points": [{"x": 1, "y": 1}, {"x": 2, "y": 30}, {"x": 3, "y": 1}]}',
        '{"type": "PolyLine", "points": [{"x": 1, "y": 1}, {"x": 40, "y": 3}]}',
        '{"type": "Circle", "center": {"x": 30, "y": 5}, "radius": 4}',
        '{"type": "PointShape", "position": {"x": 1, "y": 25}}',
    )
    inside = '{"type": "BoundingBox", "xMin": 0, "yMin": 0, "xMax": 32, "yMax": 24}'
    await place.do(
        "INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, shape, since)"
        " SELECT dataset_id, $1, id, 'bob', 'MANUAL', unnest($2::text[])::jsonb, 1 FROM label",
        sample["id"],
        [*outside, inside],
    )
    await place.do("UPDATE sample SET state = 'LABELED', label_ids = ARRAY(SELECT id FROM label)")
    place.put("a.png", picture(size=(32, 24)))
    job = await place.sync()
    assert counted(job, updated=1)
    [(path, message)] = await place.warnings(job["id"])
    assert path == "a.png"
    assert "32 × 24" in message
    assert "5 of its shapes" in message
    assert len(await place.rows("SELECT 1 FROM annotation")) == 6
    place.put("a.png", picture(size=(32, 25)))
    assert await place.warnings((await place.sync())["id"]) == []


# -- the emptied folder -----------------------------------------------------------------------------------------------


async def run(place: World, guard: Guard, **options: Any) -> int:
    job_id = await place.start(**options)
    await place.work(job_id, guard)
    return job_id


async def many(place: World, number: int) -> None:
    for index in range(number):
        place.put(f"{index:03}.png", picture((index, 0, 0)))
    await place.sync()


async def test_an_emptied_folder_removes_nothing_unasked(place: World) -> None:
    await many(place, 21)
    before = await place.labels()
    for index in range(21):
        place.remove(f"{index:03}.png")
    place.put("new.png")
    changes = await place.changes()
    with pytest.raises(Conflict) as raised:
        await place.sync()
    assert raised.value.code == "TOO_MANY_REMOVED"
    assert raised.value.details == {"wouldRemove": 21, "samples": 21}
    assert await place.labels() == before
    assert await place.changes() == changes
    await place.do("UPDATE job SET status = 'FAILED' WHERE status = 'RUNNING'")
    assert counted(await place.sync(remove_many=True), added=1, removed=21)


async def test_half_of_a_dataset_or_a_small_one_goes_unasked(place: World) -> None:
    await many(place, 22)
    for index in range(11):
        place.remove(f"{index:03}.png")
    assert counted(await place.sync(), removed=11)
    for index in range(11, 22):
        place.remove(f"{index:03}.png")
    assert counted(await place.sync(), removed=11)


async def test_what_moved_is_not_removed_and_what_gave_way_is(place: World) -> None:
    await many(place, 8)
    for index in range(8):
        place.move(f"{index:03}.png", f"there/{index:03}.png")
    guard = Guard(percent=0, samples=0)
    assert counted(await place.job(await run(place, guard)), moved=8)
    place.rearrange({"there/000.png": "there/001.png"})
    with pytest.raises(Conflict) as raised:
        await run(place, guard)
    assert raised.value.details == {"wouldRemove": 1, "samples": 8}


async def test_what_stays_when_missing_is_not_counted(place: World) -> None:
    await many(place, 21)
    for index in range(21):
        place.remove(f"{index:03}.png")
    assert counted(await place.sync(remove_missing=False))


async def test_removing_many_is_undone_at_once(place: World) -> None:
    await many(place, 21)
    before = await ids(place)
    for index in range(21):
        place.remove(f"{index:03}.png")
    await place.sync(remove_many=True)
    assert await ids(place) == {}
    [last] = await place.rows("SELECT id, undoable FROM change ORDER BY id DESC LIMIT 1")
    assert last["undoable"]
    assert len(before) == 21
    assert sync.run is not None
