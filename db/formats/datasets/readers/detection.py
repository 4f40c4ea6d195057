"""Which format a set of files is, by their names and, where these do not tell, by how some of them begin."""

import codecs
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from db.errors import Invalid
from db.formats.datasets.readers import values
from db.formats.datasets.readers.pairs import is_image
from db.formats.datasets.readers.yolo import CLASS_FILES
from db.formats.paths import suffix

HEAD: Final = 64 * 1024  # bytes that `head` should give
MAX_HEADS: Final = 20  # files of a suffix that are looked at
NONE: Final = (
    "No format is recognized: there are no images in folders, no label files, and no CSV, JSON or XML of a known form. "
    "Say which `format` it is."
)
ARCHIVES: Final = (".zip", ".gz", ".7z", ".rar", ".xlsx")  # that are not opened among other files
NESTED: Final = "`{}` is packed itself, and is not opened within a folder or an archive; unpack it, and import that."


@dataclass(slots=True)
class _Seen:
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # of files that a format calls so
    images: int = 0
    in_folders: int = 0

    def add(self, name: str) -> None:
        if is_image(name):
            self.images += 1
            self.in_folders += "/" in name
            return
        end, last = suffix(name), name.rpartition("/")[2].lower()
        self.counts[end] = self.counts.get(end, 0) + 1
        some = self.first.setdefault(end, [])
        if len(some) < MAX_HEADS:
            some.append(name)
        if last in (*CLASS_FILES, "metadata.jsonl", "metadata.csv") or last.endswith(".names"):
            self.names.add(last)


def detect(names: Iterable[str], head: Callable[[str], bytes], *, images: bool = False) -> str:
    """The name of the format. `head` gives a file's first bytes. `images`: of images in no folder, too. Raises
    Invalid."""
    seen = _Seen()
    for name in names:
        seen.add(name)
    found = _by_name(seen) or _by_content(seen, head)
    if found is None and ".txt" in seen.counts:
        found = "IMAGE_TEXT"
    if found is None and (seen.in_folders or (images and seen.images)):
        found = "IMAGE_FOLDER"
    archive = next((seen.first[end][0] for end in ARCHIVES if end in seen.first), None)
    if found is None:
        raise Invalid(NONE if archive is None else NESTED.format(values.shown(archive)))
    return found


def _by_name(seen: _Seen) -> str | None:
    has_class_names = bool(seen.names.intersection(CLASS_FILES)) or ".names" in seen.counts
    if ".manifest" in seen.counts:
        return "MODELARTS_MANIFEST"
    if ".parquet" in seen.counts:
        return "PARQUET"
    if any(end in seen.counts for end in (".tar", ".tgz", ".cls")):
        return "WEBDATASET"
    if seen.names & {"metadata.jsonl", "metadata.csv"}:
        return "HUGGING_FACE"
    if has_class_names and seen.counts.get(".txt", 0) > 1:
        return "YOLO"
    return None


def _by_content(seen: _Seen, head: Callable[[str], bytes]) -> str | None:
    for end, kind in KINDS:
        for name in seen.first.get(end, ()):
            found = kind(head(name))
            if found is not None:
                return found
    for end, found in ((".jsonl", "JSON_LINES"), (".ndjson", "JSON_LINES"), (".csv", "CSV"), (".tsv", "CSV")):
        if end in seen.counts:
            return found
    return "WEBDATASET" if seen.images and seen.counts.get(".json", 0) > 1 else None


def _narrow(head: bytes) -> bytes:
    """Without a byte order mark; of UTF-16 what is ASCII can be found: those who read the file say what is wrong with
    it."""
    return head.removeprefix(codecs.BOM_UTF8).lstrip(codecs.BOM_UTF16_LE).replace(b"\0", b"")


def _of_yaml(head: bytes) -> str | None:
    return "YOLO" if b"names:" in _narrow(head) else None


def _of_json(head: bytes) -> str | None:
    start = _narrow(head).lstrip()
    if b'"@context"' in start:  # what describes the other files, such as Croissant
        return None
    if start.startswith(b"{") and any(name in start for name in (b'"images"', b'"image_id"', b'"categories"')):
        return "COCO"
    if start.startswith(b"{") and any(name in start for name in (b'"label"', b'"labels"', b'"annotations"')):
        return "WEBDATASET"
    if start.startswith(b"[") and any(name in start for name in (b'"data"', b"labels", b'"choice', b'"result"')):
        return "LABEL_STUDIO"
    return None


def _of_xml(head: bytes) -> str | None:
    plain = _narrow(head)
    if b"<annotations" in plain:
        return "CVAT"
    return "PASCAL_VOC" if b"<annotation" in plain else None


KINDS: Final = ((".yaml", _of_yaml), (".yml", _of_yaml), (".xml", _of_xml), (".json", _of_json))
