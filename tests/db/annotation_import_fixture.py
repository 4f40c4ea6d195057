"""A dataset and files of other tools, for tests of imports."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_fixture import image_bytes
from tests.db.import_fixture import ImportJobs

COUNTS = ("scanned", "added", "updated", "labeled", "skipped", "matched", "kept", "missing", "beyond")
# Labels and boxes for an image of 100 × 80 pixels.
BEYOND = [("cat", [-10.0, 10, 30, 20]), ("dog", [10.0, 10, 20, 20]), ("cat", [90.0, 70, 10.4, 10.4])]


@dataclass(slots=True)
class AnnotationImports(ImportJobs):
    """Of files of other tools, whose format is to be found."""

    def put(self, *paths: str, size: tuple[int, int] = (100, 80)) -> None:
        """Images below the input path."""
        for path in paths:
            self.dataset.put(path, image_bytes(size=size))

    def write(self, name: str, content: str | bytes | Any) -> Path:
        """A file next to the images' folder: text, bytes, or JSON."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    async def start(self, path: Path | str, **options: Any) -> int:
        return await ImportJobs.start(self, path, **{"format": None} | options)

    async def notices(self, job: dict[str, Any]) -> dict[str, tuple[int, list[str]]]:
        rows = await self.dataset.rows("SELECT * FROM import_notice WHERE job_id = $1 ORDER BY id", job["id"])
        return {row["kind"]: (row["count"], row["examples"]) for row in rows}

    async def new_labels(self, job: dict[str, Any]) -> dict[str, tuple[int, int]]:
        rows = await self.dataset.rows("SELECT * FROM import_label WHERE job_id = $1 ORDER BY id", job["id"])
        return {row["name"]: (row["sample_count"], row["annotation_count"]) for row in rows}

    async def annotations(self) -> list[tuple[Any, ...]]:
        """Path, label, shape, who, whether confirmed and how sure."""
        rows = await self.dataset.rows(
            """SELECT s.path, l.name, a.shape::text, a.labeled_by, a.confirmed, a.confidence
            FROM annotation a JOIN sample s ON s.id = a.sample_id JOIN label l ON l.id = a.label_id
            WHERE s.dataset_id = $1 ORDER BY s.path, l.name, a.id""",
            self.dataset.dataset_id,
        )
        return [(row["path"], row["name"], row["shape"] and json.loads(row["shape"]), *list(row)[3:]) for row in rows]


def counted(job: dict[str, Any]) -> dict[str, int]:
    """The counts that are not 0."""
    return {name: job[name] for name in COUNTS if job[name]}


async def annotation_imports(database: Database, folder: Path) -> AnnotationImports:
    (folder / "images").mkdir(parents=True)
    return AnnotationImports(await dataset_fixture.local(database, folder / "images"), folder)


async def everything(importer: AnnotationImports) -> list[Any]:
    tables = ("dataset", "source", "sample", "label", "annotation", "change", "sample_past")
    return [await importer.dataset.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


def coco(*images: tuple[str, list[tuple[str, list[float]]]], size: tuple[int, int] = (100, 80)) -> dict[str, Any]:
    """A COCO file: of each image its name, and labels with boxes."""
    names = sorted({label for _, objects in images for label, _ in objects})
    return {
        "images": [
            {"id": number, "file_name": name, "width": size[0], "height": size[1]}
            for number, (name, _) in enumerate(images)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": number, "category_id": names.index(label), "bbox": box}
            for n, (number, label, box) in enumerate(
                (number, *each) for number, (_, objects) in enumerate(images) for each in objects
            )
        ],
    }


def pack(folder: Path, kind: str) -> Path:
    form = {"zip": "zip", "tar": "tar", "tar.gz": "gztar"}[kind]
    return Path(shutil.make_archive(f"{folder}-packed", form, folder))
