"""A dataset's rule for label names, where labels come from files: sidecars and manifests."""

from pathlib import Path
from typing import Any

import pytest

from db.errors import Invalid
from db.formats.names import LabelNameRefused, label_name
from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted
from tests.db.import_fixture import CAT, ImportFixture
from tests.memory_store import MemoryStore

NAMES = ("traffic light", "Straße", "person.sitting", "ねこ", "고양이", "a" * 64, "a,b", "e\u0301", "👩\u200d🔬")
REFUSED = (
    "", " ", " a", "a ", "\u3000a", "a\u00a0", "a" * 65, "a\0", "a\nb", "a\tb", "a\x85b", "a\u2028b", "\ud800",
    "\ufdd0", "\U0010ffff", "a\u202eb", "a\u2066b", "\ufeffa", "\u200d", "\u0301", "\u200b",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_visible_text_is_a_name_under_any_and_most_is_none_under_standard(name: str) -> None:
    assert label_name(name, "ANY") == label_name(label_name(name, "ANY"), "ANY")
    with pytest.raises(LabelNameRefused, match="labelNames: ANY"):
        label_name(name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_name_under_any_rule(name: str) -> None:
    for refused in ("ANY", "STANDARD"):
        with pytest.raises(Invalid) as raised:
            label_name(name, refused)
        assert raised.value.code == "INVALID_NAME"
        raised.value.message.encode()


def test_a_standard_name_is_one_under_any() -> None:
    assert [label_name(name, "ANY") for name in ("cat", "猫", "a" * 32, "_-")] == ["cat", "猫", "a" * 32, "_-"]


async def warned(dataset: DatasetFixture, job_id: int) -> dict[str, tuple[str, int]]:
    rows = await dataset.rows("SELECT * FROM job_warning WHERE job_id = $1 ORDER BY id", job_id)
    assert all("labelNames: ANY" in row["message"] for row in rows if row["name"])
    return {row["name"]: (row["path"], row["count"]) for row in rows}


async def test_a_name_that_does_not_fit_is_one_warning_and_is_taken_once_it_is_allowed(dataset: DatasetFixture) -> None:
    for number in range(8):
        dataset.put(f"{number}.jpg")
        dataset.put(f"{number}.txt", "cat\ntraffic light\n" + ("Straße" if number == 5 else ""))
    job = await dataset.sync()
    assert set(map(tuple, (await dataset.labels()).values())) == {("cat",)}
    assert await warned(dataset, job["id"]) == {"traffic light": ("0.txt:2", 8), "Straße": ("5.txt:3", 1)}
    assert counted(await dataset.sync())
    await dataset.set_up(label_names="ANY")
    assert counted(await dataset.sync(), updated=8)
    assert (await dataset.labels())["5.jpg"] == ["Straße", "cat", "traffic light"]
    assert counted(await dataset.sync())


async def test_what_a_person_labelled_stays_when_sidecars_are_read_again(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg")
    dataset.put("a.txt", "traffic light")
    await dataset.sync()
    await dataset.label_by_hand("a.jpg", "dog")
    await dataset.set_up(label_names="ANY")
    await dataset.sync()
    assert await dataset.labels() == {"a.jpg": ["dog"]}


@pytest.mark.parametrize("name", NAMES)
async def test_a_line_of_a_sidecar_is_a_name_as_it_is(dataset: DatasetFixture, name: str) -> None:
    await dataset.set_up(label_names="ANY")
    dataset.put("a.jpg")
    dataset.put("a.txt", f"  {name}\t\r\n")
    job = await dataset.sync()
    assert await dataset.labels() == {"a.jpg": [label_name(name, "ANY")]}
    assert await warned(dataset, job["id"]) == {}


async def test_in_batches_each_name_is_still_one_warning(
    dataset: DatasetFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.ingest.sync.stages.BATCH", 2)
    monkeypatch.setattr("db.jobs.batches.MAX_WARNINGS", 3)
    for number in range(7):
        dataset.put(f"{number}.jpg")
        dataset.put(f"{number}.txt", f"a b\nname {number}")
    found = await warned(dataset, (await dataset.sync())["id"])
    assert found["a b"] == ("0.txt:1", 7)


async def test_objects_of_voc_files_follow_the_rule(database: Database) -> None:
    dataset = await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
    objects = "".join(f"<object><name>{name}</name>{box}</object>\n" for name in ("cat", *NAMES, "traffic light"))
    dataset.put("a.jpg")
    dataset.put("a.xml", f"<annotation>{objects}</annotation>")
    job = await dataset.sync()
    assert await dataset.labels() == {"a.jpg": ["cat"]}
    found = await warned(dataset, job["id"])
    assert (len(found), found["traffic light"][1]) == (len(NAMES), 2)
    await dataset.set_up(label_names="ANY")
    await dataset.sync()
    assert set((await dataset.labels())["a.jpg"]) == {"cat", *(label_name(name, "ANY") for name in NAMES)}


def lines(importer: ImportFixture) -> list[Any]:
    importer.put(*(f"{number}.jpg" for number in range(4)))
    label = {**CAT, "name": "traffic light"}
    return [{"source": f"{number}.jpg", "annotation": [CAT, label]} for number in range(4)]


async def test_a_manifest_in_a_strict_dataset_gives_one_warning_for_a_name(importer: ImportFixture) -> None:
    job = await importer.load(importer.manifest(*lines(importer)))
    assert await warned(importer.dataset, job["id"]) == {"traffic light": ("V001.manifest:1", 4)}
    assert set(map(tuple, (await importer.dataset.labels()).values())) == {("cat",)}


async def test_a_manifest_with_any_names_is_read(importer: ImportFixture) -> None:
    await importer.dataset.set_up(label_names="ANY")
    job = await importer.load(importer.manifest(*lines(importer)))
    assert await warned(importer.dataset, job["id"]) == {}
    assert set(map(tuple, (await importer.dataset.labels()).values())) == {("cat", "traffic light")}


async def test_label_files_of_a_manifest_follow_the_rule(database: Database, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    dataset = await dataset_fixture.local(database, tmp_path / "images")
    await dataset.do("UPDATE dataset SET type = 'OBJECT_DETECTION' WHERE id = $1", dataset.dataset_id)
    importer = ImportFixture(dataset, tmp_path)
    importer.put("a.jpg", "b.jpg")
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
    (tmp_path / "a.xml").write_text(f"<annotation><object><name>traffic light</name>{box}</object></annotation>")
    labels = {"type": "modelarts/object_detection", "annotation-loc": "./a.xml"}
    written = [{"source": f"{name}.jpg", "annotation": [labels]} for name in "ab"]
    job = await importer.load(importer.manifest(*written))
    assert await warned(dataset, job["id"]) == {"traffic light": ("V001.manifest:1", 2)}
    await dataset.set_up(label_names="ANY")
    await importer.load(importer.manifest(*written))
    assert await dataset.labels() == {"a.jpg": ["traffic light"], "b.jpg": ["traffic light"]}
