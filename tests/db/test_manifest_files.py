"""The label files of a published version with shapes, and the lines that point to them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from db import jobs
from db.exports import manifests
from db.formats.manifests import Style
from db.formats.shapes import Raster
from db.formats.sidecars import voc
from db.history import versions
from db.history.transactions import write
from db.ingest.imports import manifest_lines
from db.ingest.imports.label_files import LabelFiles
from db.ingest.imports.locations import ReadableLocations
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.storage import LocalStore, Stores
from db.storage.locations import AllowedLocations
from tests.db import crash_injection
from tests.db.crash_injection import CrashPoint
from tests.db.dataset_rows import ANN, BOB, DatasetRows, make

BOX = {"type": "BoundingBox", "xMin": 1, "yMin": 2.25, "xMax": 30, "yMax": 40}
RING = {"type": "Polygon", "points": [{"x": 1, "y": 2}, {"x": 30, "y": 2}, {"x": 30, "y": 20.5}]}
STYLE = Style("OBJECT_DETECTION", "pets", "/in", "/out/files/")


def mark(id: int, **more: Any) -> dict[str, Any]:
    """A row; `by`, `at`, `shape` said briefly."""
    plain: dict[str, Any] = {
        "id": id,
        "name": "cat",
        "by": "ann",
        "at": "2026-01-01 00:00:00",
        "confirmed": True,
        "shape": BOX,
    }
    row = plain | {"confidence": None, "color": None, "shortcut": None, "attributes": None} | more
    moment = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC)
    return row | {"labeled_by": row["by"], "labeled_at": moment, "shape": row["shape"] and json.dumps(row["shape"])}


def sample(*marks: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = {"id": 7, "path": "a/b c.jpg", "usage": "TRAIN", "hard": False, "width": 64, "height": 48}
    return plain | {"annotations": marks} | more


def annotations(line: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(line)["annotation"]
    return found


def test_a_line_points_to_one_file_with_all_shapes() -> None:
    row = sample(mark(1), mark(2, name="dog", shape=RING, attributes='{"difficult": true}'), hard=True)
    [pointing] = annotations(STYLE.line(row))
    assert pointing == {
        "id": "1",
        "type": "modelarts/object_detection",
        "annotation-loc": "/out/files/b c_7.xml",
        "annotation-format": "PASCAL VOC",
        "property": {},
        "annotated-by": "human/ann/ann",
        "creation-time": "2026-01-01 00:00:00",
    }
    [(name, data)] = STYLE.label_files(row)
    said = voc.parse(data)
    assert (name, said.labels, said.size, said.hard, said.problems) == ("b c_7.xml", ("cat", "dog"), (64, 48), True, ())


def test_who_labelled_what_is_written_only_where_it_differs() -> None:
    row = sample(mark(1), mark(2, by="net", confirmed=False, confidence=0.5), mark(3, color="#00ff00"))
    [pointing] = annotations(STYLE.line(row))
    assert [each["annotated-by"] for each in pointing["property"]["@labelgraph:objects"]] == [
        "human/ann/ann", "model/net/net", "human/ann/ann",
    ]  # fmt: skip
    assert pointing["property"]["@labelgraph:labels"] == {"cat": {"color": "#00ff00"}}


def test_labels_of_whole_images_stand_in_the_line() -> None:
    row = sample(mark(1, shape=None, color="#00ff00", shortcut="c", confidence=0.5), mark(2))
    whole, pointing = annotations(STYLE.line(row))
    assert (whole["name"], whole["confidence"], "annotation-loc" in whole) == ("cat", 0.5, False)
    assert whole["property"] == {"@modelarts:color": "#00ff00", "@modelarts:shortcut": "c"}
    assert pointing["annotation-loc"] == "/out/files/b c_7.xml"


def test_a_file_that_would_be_larger_than_readers_take_is_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voc, "MAX_BYTES", 1_200)
    row = sample(*(mark(n, name=f"n{n}") for n in range(9)))
    files = STYLE.label_files(row)
    assert [name for name, _ in files][:2] == ["b c_7.xml", "b c_7-2.xml"]
    assert all(len(data) <= 1_200 for _, data in files)
    assert [label for _, data in files for label in voc.parse(data).labels or ()] == [f"n{n}" for n in range(9)]
    assert [each["annotation-loc"].rpartition("/")[2] for each in annotations(STYLE.line(row))] == [
        name for name, _ in files
    ]


@pytest.mark.parametrize("path", ["猫" * 80 + ".jpg", "no suffix.", "x.jpg", "." + "a" * 250])
def test_names_of_label_files_fit_into_file_systems(path: str) -> None:
    [(name, _)] = STYLE.label_files(sample(mark(1), path=path))
    assert len(name.encode()) < 255
    assert name.endswith("_7.xml")


async def stage(database: Database, root: Path, count: int = 7) -> DatasetRows:
    made = await make(
        database, samples=count, labels=("cat", "dog"), input_path=str(root / "in"), kind="OBJECT_DETECTION"
    )
    async with database.writing() as session:
        connection = await connection_of(session)
        await connection.execute("UPDATE dataset SET output_path = $1", str(root / "out"))
        await connection.execute("UPDATE source SET width = 64, height = 48")
        await connection.execute(
            """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, shape, since)
            SELECT s.dataset_id, s.id, l.id, 'ann', 'MANUAL', $1, 1 FROM sample s CROSS JOIN label l""",
            json.dumps(BOX),
        )
        await connection.execute(
            "UPDATE sample SET state = 'LABELED', label_ids = ARRAY(SELECT id FROM label ORDER BY id)"
        )
    return made


async def publish(database: Database, made: DatasetRows, name: str = "V001") -> int:
    outcome = await write(
        database, lambda session: versions.publish(session, made.id, by=ANN, name=name), versions.Published
    )
    return outcome.version


async def live(database: Database, root: Path, job_id: int, crash_point: CrashPoint) -> bool:
    async def run(database: Database, claim: jobs.Claim, stores: Stores) -> None:
        await manifests.run(database, claim, stores.open)

    return await crash_injection.live(database, root, job_id, crash_point, run)


async def files(root: Path) -> dict[str, bytes]:
    out = root / "out"
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


async def test_a_writer_that_crashes_anywhere_leaves_whole_files_and_the_next_one_ends_the_work(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.exports.manifests.FILES", 3)
    made = await stage(database, tmp_path)
    clean: dict[str, bytes] = {}
    for step in range(100):
        version = await publish(database, made, f"v{step}")
        async with database.reading() as reader:
            job = await reader.fetchval("SELECT max(id) FROM job")
        is_done = await live(database, tmp_path, job, CrashPoint(step))
        await jobs.sweep(database)
        await live(database, tmp_path, job, CrashPoint())
        found = {name: data for name, data in (await files(tmp_path)).items() if f"/v{step}/" in name}
        assert len(found) == 8, f"after a death at step {step}"
        assert not [name for name in found if name.endswith(".part")]
        normalized = {
            name.replace(f"v{step}", "v"): data.replace(f"v{step}".encode(), b"v") for name, data in found.items()
        }
        assert (clean := clean or normalized) == normalized
        async with database.reading() as reader:
            assert await reader.fetchval("SELECT manifest_path IS NOT NULL FROM version WHERE id = $1", version)
        if is_done:
            break
    assert step > 15


async def test_a_namesake_of_a_deleted_version_has_files_of_its_own(database: Database, tmp_path: Path) -> None:
    made = await stage(database, tmp_path, 2)
    first = await publish(database, made, "best")
    await live(database, tmp_path, 1, CrashPoint())
    before = await files(tmp_path)
    await write(database, lambda session: versions.remove(session, first, by=BOB), versions.Removed)
    async with database.writing() as session:
        await (await connection_of(session)).execute("UPDATE annotation SET shape = $1", json.dumps(RING))
    second = await publish(database, made, "best")
    await live(database, tmp_path, 2, CrashPoint())
    after = await files(tmp_path)
    assert {name: after[name] for name in before} == before
    folder = f"pets-{made.id}/annotation/best"
    new = sorted(after.keys() - before.keys())
    assert new[-1] == f"{folder}/best-{second}.manifest"
    assert all(name.startswith(f"{folder}/annotation-{second}/") for name in new[:-1])
    assert len(new) == 3


async def test_reading_a_label_file_gives_back_what_was_written(tmp_path: Path) -> None:
    row = sample(
        mark(1), mark(2, by="net", confirmed=False, confidence=0.125, shape=RING, at="2020-02-02 02:02:02"),
        mark(3, name="dog", color="#00ff00", shortcut="d"),
    )  # fmt: skip
    style = Style("OBJECT_DETECTION", "pets", f"{tmp_path}/in", f"{tmp_path}/annotation/")
    for name, data in style.label_files(row):
        await LocalStore(tmp_path).write(f"annotation/{name}", data)
    entry = manifest_lines.parse(style.line(row), "OBJECT_DETECTION")
    reader = LabelFiles(ReadableLocations(Stores(AllowedLocations((tmp_path,)))), "OBJECT_DETECTION", f"{tmp_path}/")
    [file] = entry.files
    read = await reader.read(file, Raster(64, 48))
    assert read.problems == ()
    found = [
        (each.label, each.author.by, each.author.confirmed, each.confidence, each.color)
        for each in read.annotations or ()
        if each.author is not None
    ]
    assert found == [
        ("cat", "ann", True, None, None), ("cat", "net", False, 0.125, None), ("dog", "ann", True, None, "#00ff00"),
    ]  # fmt: skip
