"""What a sync takes and what it passes over: by suffix, hidden names, patterns; and that it says so."""

import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from db.formats.patterns import validated
from db.ingest.sync.rules import EXAMPLES, MAX_SUFFIXES, Ignored, Reason
from db.postgres.engine import Database
from db.storage import Page
from db.storage.objects import ALL, Scope
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted, image_bytes
from tests.memory_store import MemoryStore

JUNK = {
    "._cat.jpg": b"\0\5\x16\7" + bytes(78),
    "__MACOSX/._cat.jpg": b"\0\5\x16\7" + bytes(78),
    ".ipynb_checkpoints/cat-checkpoint.jpg": None,
    "@eaDir/cat.jpg/SYNOPHOTO_THUMB_M.jpg": None,
    ".hidden/x.jpg": None,
    "Thumbs.db": b"",
    "d/.DS_Store": b"",
    "$RECYCLE.BIN/S-1/x.jpg": None,
}
# What is ignored of it: of a directory nothing but itself.
IGNORED = [
    "$RECYCLE.BIN",
    "._cat.jpg",
    ".hidden",
    ".ipynb_checkpoints",
    "@eaDir",
    "Thumbs.db",
    "__MACOSX",
    "d/.DS_Store",
]


def fill(dataset: DatasetFixture) -> None:
    dataset.put("cat.jpg", image_bytes(form="JPEG"))
    for path, content in JUNK.items():
        dataset.put(path, content)


async def test_hidden_and_system_files_are_no_samples_and_are_counted(dataset: DatasetFixture) -> None:
    fill(dataset)
    for _ in range(2):
        job = await dataset.sync()
        assert list(await dataset.labels()) == ["cat.jpg"]
        assert (job["scanned"], job["ignored"], job["skipped"]) == (len(JUNK) + 1, len(JUNK), 0)
        assert await dataset.warnings(job["id"]) == []
        [(reason, (count, examples))] = (await dataset.ignored(job["id"])).items()
        assert (reason, count, sorted(examples)) == ("HIDDEN", len(JUNK), IGNORED)


async def test_of_what_is_passed_over_only_the_directory_is_counted(dataset: DatasetFixture) -> None:
    for path in ("a.jpg", "thumbs/a.jpg", "thumbs/deep/b.jpg", "d/thumbs/c.txt", "d/.git/x", "d/.git/objects/y.jpg"):
        dataset.put(path)
    await dataset.set_up(exclude=["**/thumbs/"])
    job = await dataset.sync()
    assert (list(await dataset.labels()), job["scanned"], job["ignored"]) == (["a.jpg"], 4, 3)
    ignored = {reason: (count, sorted(paths)) for reason, (count, paths) in (await dataset.ignored(job["id"])).items()}
    assert ignored == {"EXCLUDED": (2, ["d/thumbs", "thumbs"]), "HIDDEN": (1, ["d/.git"])}


async def test_a_directory_that_is_passed_over_is_not_opened(database: Database, tmp_path: Path) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    for path in ("a.jpg", ".git/x.jpg", "old/deep/a.jpg"):
        dataset.put(path)
    await dataset.set_up(exclude=["old/"])
    opened: list[str] = []
    scandir = os.scandir

    def counted_scandir(descriptor: int) -> Any:
        opened.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        return scandir(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("db.storage.walk.os.scandir", counted_scandir)
        job = await dataset.sync()
    assert opened == [str(tmp_path)]
    assert (list(await dataset.labels()), job["ignored"]) == (["a.jpg"], 2)


async def test_a_bucket_is_listed_below_the_directories_that_are_included(database: Database) -> None:
    dataset = await dataset_fixture.memory(database)
    prefixes: list[tuple[str, ...]] = []

    class Watched(MemoryStore):
        async def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
            prefixes.append(scope.prefixes)
            async for page in super().pages(scope):
                yield Page([each for each in page.objects if each.path.startswith(scope.prefixes)])

    dataset.store = Watched()
    for path in ("train/a.jpg", "old/b.jpg", "val/x/images/c.jpg", "val/x/labels/c.txt"):
        dataset.put(path, "cat" if path.endswith("txt") else None)
    await dataset.set_up(include=["train/**", "val/x/images/*.jpg"])
    job = await dataset.sync()
    assert (job["added"], job["ignored"], prefixes) == (2, 0, [("train/", "val/x/")] * len(prefixes))
    assert await dataset.labels() == {"train/a.jpg": [], "val/x/images/c.jpg": ["cat"]}
    await dataset.set_up(include=["train/**"])
    dataset.put("val/x/images/c.jpg", image_bytes(size=(3, 3)))
    prefixes.clear()
    assert counted(await dataset.sync(), updated=1), "a sample stays one while its file is there"
    assert set(prefixes) == {("",), ("val/",)}


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        (["**"], [], {"cat.jpg"}),
        (["**", ".hidden/**"], [], {"cat.jpg", ".hidden/x.jpg"}),
        ([".hidden/"], [], {".hidden/x.jpg"}),
        (["@eaDir/*/*.jpg"], [], {"@eaDir/cat.jpg/SYNOPHOTO_THUMB_M.jpg"}),
        (["**", ".*/**"], ["**/*-checkpoint.jpg"], {"cat.jpg", ".hidden/x.jpg"}),
        ([], ["*.jpg"], set()),
        (["nothing/**"], [], set()),
    ],
)
async def test_patterns_say_what_is_taken(
    dataset: DatasetFixture, include: list[str], exclude: list[str], taken: set[str]
) -> None:
    fill(dataset)
    await dataset.set_up(include=validated(include), exclude=validated(exclude))
    job = await dataset.sync()
    assert set(await dataset.labels()) == taken
    assert job["ignored"] == len(JUNK) + 1 - len(taken)
    assert sum(count for count, _ in (await dataset.ignored(job["id"])).values()) == job["ignored"]


async def test_label_files_come_with_their_images_whatever_is_included(dataset: DatasetFixture) -> None:
    for path in ("images/a.jpg", "images/b.jpg", ".cache/c.jpg"):
        dataset.put(path)
    for path in ("labels/a.txt", "images/b.txt", ".cache/c.txt"):
        dataset.put(path, "cat")
    await dataset.set_up(include=["images/*.jpg", ".cache/*.jpg"])
    job = await dataset.sync()
    assert await dataset.labels() == {"images/a.jpg": ["cat"], "images/b.jpg": ["cat"], ".cache/c.jpg": ["cat"]}
    assert job["ignored"] == 0


async def test_label_files_that_are_excluded_are_not_read(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg")
    dataset.put("a.txt", "cat")
    await dataset.set_up(exclude=["**/*.txt"])
    job = await dataset.sync()
    assert await dataset.labels() == {"a.jpg": []}
    assert await dataset.ignored(job["id"]) == {"EXCLUDED": (1, ["a.txt"])}


async def test_what_is_a_sample_already_stays_one_and_is_synced_while_its_file_is_there(
    dataset: DatasetFixture,
) -> None:
    dataset.put("drafts/a.jpg")
    dataset.put("b.jpg")
    await dataset.sync()
    await dataset.label_by_hand("drafts/a.jpg", "cat")
    before = await dataset.sample("drafts/a.jpg")
    await dataset.set_up(exclude=["drafts/"])
    dataset.put("drafts/new.jpg")
    dataset.put("drafts/a.jpg", image_bytes(size=(3, 3)))
    job = await dataset.sync()
    after = await dataset.sample("drafts/a.jpg")
    assert (after["id"], after["label_ids"], after["width"]) == (before["id"], before["label_ids"], 3)
    assert counted(job, updated=1)
    assert await dataset.ignored(job["id"]) == {"EXCLUDED": (1, ["drafts/new.jpg"])}
    [(path, message)] = await dataset.warnings(job["id"])
    assert path == "drafts/a.jpg"
    assert "ignores: 1." in message
    await dataset.delete_by_hand("drafts/a.jpg")
    job = await dataset.sync(restore_removed=True)
    assert list(await dataset.labels()) == ["b.jpg"]
    assert (counted(job), job["ignored"]) == (True, 2)
    assert await dataset.warnings(job["id"]) == []


async def test_what_is_excluded_no_longer_comes_in_with_the_next_sync(dataset: DatasetFixture) -> None:
    dataset.put("drafts/a.jpg")
    await dataset.set_up(exclude=["drafts/"])
    assert counted(await dataset.sync())
    await dataset.set_up(exclude=[])
    assert counted(await dataset.sync(), added=1)


async def test_other_formats_are_counted_by_suffix(dataset: DatasetFixture) -> None:
    for path in ("b.jpg", "a.webp", "A.WEBP", "a.tif", "a.gif", "README", "x.tar.gz"):
        dataset.put(path)
    job = await dataset.sync()
    assert await dataset.ignored(job["id"]) == {
        "SUFFIX .webp": (2, ["A.WEBP", "a.webp"]),
        "SUFFIX .tif": (1, ["a.tif"]),
        "SUFFIX .gif": (1, ["a.gif"]),
        "SUFFIX ": (1, ["README"]),
        "SUFFIX .gz": (1, ["x.tar.gz"]),
    }
    assert job["ignored"] == 6


async def test_a_dataset_says_which_formats_it_takes(dataset: DatasetFixture) -> None:
    for path, form in (("a.tif", "TIFF"), ("b.webp", "WEBP"), ("c.gif", "GIF"), ("d.AVIF", "AVIF"), ("e.png", "GIF")):
        dataset.put(path, image_bytes(form=form, size=(16, 9)))
    dataset.put("a.txt", "cat")
    job = await dataset.sync()
    assert counted(job, skipped=1)
    message = "This is a GIF image; the dataset takes JPEG, PNG and BMP images."
    assert await dataset.warnings(job["id"]) == [("e.png", message)]
    assert (await dataset.ignored(job["id"])).keys() == {
        *("SUFFIX .tif", "SUFFIX .webp", "SUFFIX .gif", "SUFFIX .avif", "SIDECAR_WITHOUT_IMAGE")
    }
    await dataset.set_up(image_formats=["PNG", "WEBP", "TIFF", "GIF", "AVIF"])
    assert counted(await dataset.sync(), added=5)
    assert (await dataset.labels())["a.tif"] == ["cat"]
    for path, form in (("a.tif", "TIFF"), ("d.AVIF", "AVIF"), ("e.png", "GIF")):
        sample = await dataset.sample(path)
        assert (sample["format"], sample["width"], sample["height"], sample["orientation"]) == (form, 16, 9, 1)


async def test_samples_of_formats_that_are_no_longer_taken_stay(dataset: DatasetFixture) -> None:
    await dataset.set_up(image_formats=["TIFF", "GIF"])
    dataset.put("a.tif", image_bytes(form="TIFF"))
    dataset.put("b.gif", image_bytes(form="GIF"))
    await dataset.sync()
    await dataset.set_up(image_formats=["PNG"])
    dataset.put("c.tif", image_bytes(form="TIFF"))
    job = await dataset.sync()
    assert counted(job)
    assert [path for path, _ in await dataset.warnings(job["id"])] == ["a.tif"]
    assert await dataset.ignored(job["id"]) == {"SUFFIX .tif": (1, ["c.tif"])}
    dataset.remove("b.gif")
    assert counted(await dataset.sync(), removed=1)


async def test_a_tiff_whose_end_alone_says_what_it_is(dataset: DatasetFixture) -> None:
    """Libtiff writes the directory last; that of a file that was cut is missing, and so is the image."""
    await dataset.set_up(image_formats=["TIFF"])
    out = io.BytesIO()
    Image.effect_noise((300, 300), 90).convert("RGB").save(out, "TIFF", compression="tiff_lzw")
    dataset.put("a.tif", out.getvalue())
    dataset.put("cut.tif", out.getvalue()[:-1_000])
    job = await dataset.sync()
    assert counted(job, added=1, skipped=1)
    assert [path for path, _ in await dataset.warnings(job["id"])] == ["cut.tif"]
    assert (await dataset.sample("a.tif"))["width"] == 300


async def test_every_name_of_a_jpeg_is_one(dataset: DatasetFixture) -> None:
    for path in ("a.jfif", "b.JFIF", "c.jpe", "d.jpg", "e.jpeg"):
        dataset.put(path, image_bytes(form="JPEG"))
    assert counted(await dataset.sync(), added=5)
    assert {(await dataset.sample(path))["format"] for path in await dataset.labels()} == {"JPEG"}


def test_groups_and_examples_are_bounded() -> None:
    ignored = Ignored()
    for number in range(10_000):
        ignored.add(Reason.SUFFIX, f"{number}.s{number}", suffix=f".s{number}")
        ignored.add(Reason.SUFFIX, f"{number}.gif", suffix=".s0")
        ignored.add(Reason.SUFFIX, "x." + "y" * 30, suffix="." + "y" * 30)
    rows = ignored.rows()
    assert len(rows) == MAX_SUFFIXES + 1
    assert max(len(examples) for *_, examples in rows) == EXAMPLES
    assert sum(count for _, _, count, _ in rows) == ignored.total == 30_000


async def test_names_that_no_database_holds_are_reported(database: Database, tmp_path: Path) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    (tmp_path / "a\udcff.gif").write_bytes(b"")
    (tmp_path / "b.\udcff").write_bytes(b"")
    (tmp_path / "c\udcff.jpg").write_bytes(b"")
    job = await dataset.sync()
    assert (job["ignored"], job["skipped"], len(await dataset.warnings(job["id"]))) == (2, 1, 1)
    assert (await dataset.ignored(job["id"]))["SUFFIX .gif"] == (1, ["a�.gif"])
