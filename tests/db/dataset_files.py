"""The files of a data set in memory, as readers of formats see them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from db.errors import Invalid
from db.formats.datasets.readers import READERS
from db.formats.datasets.reading import ImageRecord, Problem, Reader, ReadOptions
from db.formats.shapes import BoundingBox

BOX: Final = BoundingBox(1, 2, 4, 6)


@dataclass(frozen=True, slots=True)
class MemoryFiles:
    files: Mapping[str, bytes]

    def names(self) -> Iterable[str]:
        return sorted(self.files)

    def open(self, name: str) -> BinaryIO:
        return BytesIO(self.files[name])

    def contents(self, names: Iterable[str], length: int) -> Iterator[tuple[str, bytes]]:
        for name in names:
            yield name, self.files[name][:length]


def in_folder(folder: Path) -> MemoryFiles:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return MemoryFiles({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})


def read(
    reader: Reader, files: Mapping[str, bytes | str], kind: str = "OBJECT_DETECTION", *, boxes: bool = False
) -> tuple[list[ImageRecord], list[Problem]]:
    """The images, and all problems, theirs included."""
    images, problems = list[ImageRecord](), list[Problem]()
    content = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
    for each in reader(MemoryFiles(content), ReadOptions(kind, boxes)):
        if isinstance(each, Problem):
            problems.append(each)
        else:
            images.append(each)
            problems += each.problems
    return images, problems


def only(name: str, files: dict[str, bytes | str], kind: str = "OBJECT_DETECTION", **options: Any) -> ImageRecord:
    [record], problems = read(READERS[name], files, kind, **options)
    assert problems == []
    return record


def labelled(record: ImageRecord) -> list[tuple[str, Any]]:
    return [(each.label, each.shape) for each in record.annotations or ()]


def refused(name: str, files: dict[str, bytes | str]) -> str:
    try:
        read(READERS[name], files)
    except Invalid as error:
        return error.message
    raise AssertionError("It was not refused.")
