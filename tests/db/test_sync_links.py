"""Symbolic links in an input path: followed to what the server's owner allowed, reported where they are not."""

import os
from pathlib import Path

import pytest

from db.errors import StorageError
from db.postgres.engine import Database
from db.storage import LocalStore, ObjectMissing
from db.storage.local import ObjectLinked
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted, image_bytes


@pytest.fixture
async def linking(database: Database, tmp_path: Path) -> DatasetFixture:
    """A dataset at `allowed/images`; links may lead to `allowed`. `secret` is a directory that is not allowed."""
    for name in ("allowed/images", "allowed/other", "allowed/other/deep", "secret"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.jpg").write_bytes(image_bytes(form="JPEG"))
    root = tmp_path / "allowed" / "images"
    (root / "x.jpg").unlink()
    return await dataset_fixture.make(database, LocalStore(root, roots=[tmp_path / "allowed"]), root)


def link(dataset: DatasetFixture, name: str, target: str | Path) -> Path:
    assert dataset.root is not None
    path = dataset.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def above(dataset: DatasetFixture) -> Path:
    assert dataset.root is not None
    return dataset.root.parents[1]


async def test_links_to_what_is_allowed_are_followed(linking: DatasetFixture) -> None:
    link(linking, "file.jpg", "../other/x.jpg")
    link(linking, "d/directory", above(linking) / "allowed" / "other")
    job = await linking.sync()
    assert list(await linking.labels()) == ["d/directory/deep/x.jpg", "d/directory/x.jpg", "file.jpg"]
    assert (job["added"], job["ignored"]) == (3, 0)
    store = linking.store
    for path in await linking.labels():
        assert (await store.read(path))[:2] == b"\xff\xd8"
        assert await store.stat(path) is not None
    assert counted(await linking.sync())


async def test_sidecars_may_be_links_and_lie_in_linked_directories(linking: DatasetFixture) -> None:
    (above(linking) / "allowed" / "other" / "x.txt").write_text("cat")
    link(linking, "directory", "../other")
    link(linking, "y.txt", "../other/x.txt")
    linking.put("y.png")
    await linking.sync()
    assert (await linking.labels())["directory/x.jpg"] == (await linking.labels())["y.png"] == ["cat"]


@pytest.mark.parametrize(
    ("name", "target", "reason"),
    [
        ("out.jpg", "../../secret/x.jpg", "LINK_NOT_ALLOWED"),
        ("out", "../../secret", "LINK_NOT_ALLOWED"),
        ("missing.jpg", "../../secret/none.jpg", "LINK_NOT_ALLOWED"),
        ("passwd.jpg", "/etc/passwd", "LINK_NOT_ALLOWED"),
        ("broken.jpg", "../other/none.jpg", "LINK_BROKEN"),
        ("circle.jpg", "circle.jpg", "LINK_BROKEN"),
        ("here", ".", "LINK_REPEATED"),
        ("above", "..", "LINK_REPEATED"),
        ("below", "real", "LINK_REPEATED"),
        ("same.jpg", "real/a.png", "LINK_REPEATED"),
        ("pipe.jpg", "../pipe", "NOT_A_FILE"),
    ],
)
async def test_a_link_that_is_not_followed_is_reported(
    linking: DatasetFixture, name: str, target: str, reason: str
) -> None:
    linking.put("real/a.png")
    os.mkfifo(above(linking) / "allowed" / "pipe")
    link(linking, name, target)
    job = await linking.sync()
    assert list(await linking.labels()) == ["real/a.png"]
    assert await linking.ignored(job["id"]) == {reason: (1, [name])}
    assert len(await linking.warnings(job["id"])) == (reason == "LINK_NOT_ALLOWED")


async def test_circles_of_linked_directories_end_and_nothing_is_listed_twice(linking: DatasetFixture) -> None:
    other = above(linking) / "allowed" / "other"
    (other / "back").symlink_to(other)
    (other / "home").symlink_to(above(linking) / "allowed" / "images")
    (other / "deep" / "up").symlink_to("..")
    for name in ("one", "two"):
        link(linking, name, other)
    link(linking, "three", other / "deep")
    job = await linking.sync()
    assert sorted(path.rpartition("/")[2] for path in await linking.labels()) == ["x.jpg", "x.jpg"]
    assert (await linking.ignored(job["id"]))["LINK_REPEATED"][0] >= 4


async def test_links_into_hidden_directories_are_followed(linking: DatasetFixture) -> None:
    """As tools keep them that version data: a name in the tree leads to a file in a cache below."""
    linking.put(".cache/ab/cdef", image_bytes())
    link(linking, "a.png", ".cache/ab/cdef")
    job = await linking.sync()
    assert list(await linking.labels()) == ["a.png"]
    assert await linking.ignored(job["id"]) == {"HIDDEN": (1, [".cache"])}


async def test_without_allowed_directories_no_link_is_followed(linking: DatasetFixture) -> None:
    assert linking.root is not None
    link(linking, "file.jpg", "../other/x.jpg")
    linking.store = LocalStore(linking.root)
    job = await linking.sync()
    assert await linking.ignored(job["id"]) == {"LINK_NOT_ALLOWED": (1, ["file.jpg"])}
    with pytest.raises(ObjectMissing):
        await linking.store.read("file.jpg")


async def test_a_link_that_is_turned_elsewhere_gives_nothing_away(linking: DatasetFixture) -> None:
    """It is looked at when the file is opened, not when it was listed."""
    path, directory = link(linking, "a.jpg", "../other/x.jpg"), link(linking, "d", "../other")
    await linking.sync()
    for old, target in ((path, "../../secret/x.jpg"), (directory, "../../secret")):
        old.unlink()
        old.symlink_to(target)
    for name in ("a.jpg", "d/x.jpg"):
        for use in (linking.store.read(name), linking.store.read_or_open(name, length=9), linking.store.stat(name)):
            with pytest.raises(StorageError, match="outside the allowed directories"):
                await use
        [head] = await linking.store.heads([name], length=10)
        assert isinstance(head, StorageError)
    assert counted(await linking.sync())
    assert len(await linking.labels()) == 3


async def test_what_a_broken_link_hides_is_not_removed_and_what_is_unlinked_is(linking: DatasetFixture) -> None:
    path = link(linking, "d", "../other")
    await linking.sync()
    (above(linking) / "allowed" / "other").rename(above(linking) / "allowed" / "elsewhere")
    assert counted(await linking.sync())
    assert len(await linking.labels()) == 2
    (above(linking) / "allowed" / "elsewhere").rename(above(linking) / "allowed" / "other")
    (above(linking) / "allowed" / "other" / "x.jpg").unlink()
    assert counted(await linking.sync(), removed=1)
    path.unlink()
    assert counted(await linking.sync(), removed=1)


async def test_to_delete_a_linked_file_deletes_the_link(linking: DatasetFixture) -> None:
    path = link(linking, "a.jpg", "../other/x.jpg")
    assert await linking.store.delete("a.jpg")
    assert not path.is_symlink()
    assert (above(linking) / "allowed" / "other" / "x.jpg").exists()


async def test_nothing_is_deleted_or_written_in_a_linked_directory(linking: DatasetFixture) -> None:
    link(linking, "d", "../other")
    with pytest.raises(ObjectLinked):
        await linking.store.delete("d/x.jpg")
    assert await linking.store.discard(["d/x.jpg", "d/none.txt"]) == []
    for write in (linking.store.write("d/new.jpg", b""), linking.store.replace("d/x.jpg", b"")):
        with pytest.raises(StorageError):
            await write
    assert sorted(each.name for each in (above(linking) / "allowed" / "other").iterdir()) == ["deep", "x.jpg"]


async def test_pipes_and_sockets_are_counted(linking: DatasetFixture) -> None:
    assert linking.root is not None
    os.mkfifo(linking.root / "pipe.jpg")
    job = await linking.sync()
    assert await linking.ignored(job["id"]) == {"NOT_A_FILE": (1, ["pipe.jpg"])}
