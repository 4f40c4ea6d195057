"""Hugging Face's imagefolder: `metadata.jsonl` or `metadata.csv` next to images, whose `file_name` is from its own
folder; without one, a folder for each label."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from db.formats.datasets.readers import image_folder, json_lines, labels_csv
from db.formats.datasets.reading import Files, ImageRecord, Problem, ReadOptions

LINES, CSV = "metadata.jsonl", "metadata.csv"


@dataclass(frozen=True, slots=True)
class _Only:
    """The files of one name, in any folder."""

    files: Files
    name: str

    def names(self) -> Iterable[str]:
        return (name for name in self.files.names() if name.rpartition("/")[2] == self.name)

    def open(self, name: str) -> BinaryIO:
        return self.files.open(name)

    def contents(self, names: Iterable[str], length: int) -> Iterator[tuple[str, bytes]]:
        return self.files.contents(names, length)


READERS: Final = {LINES: json_lines.read, CSV: labels_csv.read}


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    present = [(reader, only) for name, reader in READERS.items() if any((only := _Only(files, name)).names())]
    for reader, only in present:
        for found in reader(only, options):
            yield replace(found, drawn="UPRIGHT") if isinstance(found, ImageRecord) else found
    if not present:
        yield from image_folder.read(files, options)
