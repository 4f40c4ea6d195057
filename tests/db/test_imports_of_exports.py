"""What was exported goes back into the dataset that it came from: what a format has no field for stays as it is."""

from pathlib import Path
from typing import Any

import pytest

from db.postgres.engine import Database
from tests.db.dataset_fixture import image_bytes
from tests.db.export_fixture import ExportHouse, local_house

DRAWN = """
    SELECT s.path, l.name, a.labeled_by, a.labeled_at, a.confidence, a.confirmed, a.shape::text, a.attributes::text,
           s.hard
    FROM annotation a JOIN sample s ON s.id = a.sample_id JOIN label l ON l.id = a.label_id
    WHERE a.dataset_id = $1 ORDER BY a.id"""


@pytest.fixture
async def cells(database: Database, tmp_path: Path) -> tuple[ExportHouse, int]:
    """Boxes with every attribute, some with confidence, of several authors, in hard images."""
    house = local_house(database, tmp_path)
    await house.fill("a", "cells")
    dataset = await house.dataset("OBJECT_DETECTION", "a")
    await house.sync(dataset)
    await house.do(
        """UPDATE annotation SET confidence = CASE WHEN id % 3 = 0 THEN 0.12345678901234567 END,
               attributes = CASE id % 4 WHEN 0 THEN '{"difficult": true, "pose": "Left"}'::jsonb
                                        WHEN 1 THEN '{"truncated": true, "occluded": true}' END"""
    )
    await house.do("UPDATE sample SET hard = true")
    return house, dataset


async def drawn(house: ExportHouse, dataset: int) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await house.rows(DRAWN, dataset)]


async def load(house: ExportHouse, dataset: int, files: dict[str, bytes], format_: str) -> dict[str, Any]:
    for name, data in files.items():
        file = Path(house.root) / "files" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return await house.load(dataset, f"{house.root}files", format=format_)


@pytest.mark.parametrize(
    "format_",
    ["COCO", "CSV", "YOLO", "LABEL_STUDIO", "JSON_LINES", "PASCAL_VOC", "CVAT", "HUGGING_FACE", "PARQUET", "CROISSANT"],
)
async def test_what_a_format_cannot_say_stays(cells: tuple[ExportHouse, int], format_: str) -> None:
    house, dataset = cells
    before = await drawn(house, dataset)
    files = await house.export(dataset, format_, images="NONE")
    job = await load(house, dataset, files, "CSV" if format_ == "CROISSANT" else format_)
    assert (job["matched"], job["updated"]) == (len({row[0] for row in before}), 0)
    assert await drawn(house, dataset) == before


@pytest.mark.parametrize("format_", ["COCO", "LABEL_STUDIO", "JSON_LINES", "CVAT", "HUGGING_FACE"])
async def test_names_of_images_may_begin_with_a_space(database: Database, tmp_path: Path, format_: str) -> None:
    """What is written with one by mistake means the image without it."""
    house = local_house(database, tmp_path)
    dataset = await house.dataset("IMAGE_CLASSIFICATION", "a")
    images, expected = tmp_path / "a", {" a.png": ["space"], "a.png": ["none"], " b.png": ["b"]}
    for path, labels in expected.items():
        (images / path).write_bytes(image_bytes())
        (images / path).with_suffix(".txt").write_text(*labels)
    await house.sync(dataset)
    files = await house.export(dataset, format_, images="NONE")
    await house.do("DELETE FROM annotation")
    await house.do("UPDATE sample SET state = 'UNLABELED', label_ids = '{}', labeled_by = NULL, labeled_at = NULL")
    await load(house, dataset, files, format_)
    assert {row[0]: [row[1]] for row in await drawn(house, dataset)} == expected
    (images / " b.png").rename(images / "b.png")
    await house.sync(dataset)
    await load(house, dataset, files, format_)
    assert {row[0] for row in await drawn(house, dataset)} == {" a.png", "a.png", "b.png"}


async def test_what_a_file_says_is_written_and_the_rest_stays(cells: tuple[ExportHouse, int]) -> None:
    house, dataset = cells
    before = await drawn(house, dataset)
    [(name, data)] = (await house.export(dataset, "JSON_LINES", images="NONE")).items()
    changed = data.replace(b'"isTruncated":true,', b"").replace(b'"isConfirmed":true,', b'"isTruncated":false,')
    await load(house, dataset, {name: changed}, "JSON_LINES")
    after = {row[:2] + row[6:7]: row for row in await drawn(house, dataset)}
    for row in before:
        attributes = row[7] and row[7].replace(', "truncated": true', "")
        assert after[row[:2] + row[6:7]] == (*row[:7], attributes, row[8])
    assert any("occluded" in (row[7] or "") for row in after.values())
