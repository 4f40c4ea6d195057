"""WebDataset: tar files in which neighbours of one name before the first dot belong together: an image, and `.json`,
`.cls` or `.txt` with what is said of it.

JSON is read as a line of JSON Lines is; `.cls` has one label, or its number in `classes.txt`; `.txt` one on a line.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, BinaryIO, Final

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets import usages
from db.formats.datasets.readers import json_lines, json_parts, text_files, values
from db.formats.datasets.readers.lines import refuse_what_is_not_utf8, text_lines
from db.formats.datasets.readers.pairs import is_image, pairing, with_contents
from db.formats.datasets.reading import Contained, Files, ImageRecord, Problem, ReadOptions, opened
from db.formats.paths import stem, suffix
from db.formats.unpacking import expect_ratio

SUFFIXES: Final = (".tar", ".tgz", ".gz")
CLASSES: Final = "classes.txt"
MAX_BYTES: Final = 16 * 1024 * 1024  # of what is said of an image
MAX_HEADER: Final = 1024 * 1024  # bytes
CONTINUED: Final = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)  # and all that are not supported: pax
TOO_LONG: Final = "The file is too long, and was not read."
MAX_MEMBERS: Final = 100  # of one image
LABELS: Final = ("json", "cls", "txt")


class _Member(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, *arguments: Any) -> "_Member":
        """A header that continues in the file is read whole, so it is not to be long."""
        member: _Member = super().frombuf(*arguments)
        if member.size > MAX_HEADER and (member.type in CONTINUED or member.type not in tarfile.SUPPORTED_TYPES):
            raise Invalid("A header of the tar file is too long.")
        return member


@dataclass(slots=True)
class _Group:
    key: str
    image: str | None = None
    content: bytes | None = None
    contained: Contained | None = None
    said: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    members: int = 0


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    names = [name for name in files.names() if suffix(name) in SUFFIXES]
    classes = _classes(files)
    for name in names:
        with opened(files, name) as file:
            yield from _Shard(name, options, classes).read(file)
    if not names:
        yield from _read_members(files, options, classes)


def _read_members(files: Files, options: ReadOptions, classes: Mapping[str, str]) -> Iterator[ImageRecord | Problem]:
    """Of tar files that were opened or unpacked before."""
    with pairing() as pairs:
        for kind in LABELS:
            for name in files.names():
                if name.endswith(f".{kind}") and name.rpartition("/")[2] != CLASSES:
                    pairs.add_label(name)
        images = (name for name in files.names() if is_image(name))
        shard = _Shard("", options, classes)
        for pair in with_contents(files, pairs.pairs(images), MAX_BYTES + 1):
            group = _Group(stem(pair.image or pair.label or ""), pair.image)
            group.contained = None if pair.image is None else Contained(pair.image, None, pair.image)
            if pair.label is not None and pair.data is not None:
                if len(pair.data) > MAX_BYTES:
                    group.problems.append(Problem(pair.label, TOO_LONG))
                else:
                    group.said[suffix(pair.label)[1:]] = pair.data
            yield from shard.record(group)


def _classes(files: Files) -> Mapping[str, str]:
    name = next((name for name in files.names() if name.rpartition("/")[2] == CLASSES), None)
    if name is None:
        return {}
    with opened(files, name) as file:
        return {str(number): line.strip() for number, line in enumerate(islice(text_lines(file), 100_000))}


@dataclass(frozen=True, slots=True)
class _Shard:
    name: str
    options: ReadOptions
    classes: Mapping[str, str]

    def read(self, file: BinaryIO) -> Iterator[ImageRecord | Problem]:
        """One member after the other, as the tar has them."""
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r|gz" if _is_gzip(file) else "r|", tarinfo=_Member) as tar:
                group: _Group | None = None
                for member in tar:
                    tar.members.clear()  # type: ignore[attr-defined]  # else it keeps all
                    expect_ratio(member.offset_data + member.size, size, is_kept=False)
                    folder, slash, base = member.name.rpartition("/")
                    front, dot, kind = base.partition(".")
                    if not member.isfile() or not front or not dot:
                        continue
                    key = folder + slash + front
                    if group is None or group.key != key:
                        if group is not None:
                            yield from self.record(group)
                        group = _Group(key)
                    self._add(group, tar, member, kind.lower())
                if group is not None:
                    yield from self.record(group)
        except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as broken:
            raise Invalid(f"{self.name} is not a tar file, or it is not whole.") from broken

    def _add(self, group: _Group, tar: tarfile.TarFile, member: tarfile.TarInfo, kind: str) -> None:
        group.members += 1
        is_picture = is_image(member.name)
        most = self.options.max_image if is_picture else MAX_BYTES
        if group.members > MAX_MEMBERS or not (is_picture or kind in LABELS):
            return
        if member.size > most:
            group.problems.append(Problem(f"{self.name}/{values.shown(member.name)}", TOO_LONG))
            return
        stream = tar.extractfile(member)
        data = stream.read(most) if stream is not None else b""
        if not is_picture:
            group.said[kind] = data
        elif group.image is None:
            group.image, group.content = member.name, data
            group.contained = Contained(self.name, (member.offset_data, member.size), member.name)

    def record(self, group: _Group) -> Iterator[ImageRecord | Problem]:
        location = f"{self.name}/{values.shown(group.key)}".lstrip("/")
        try:
            record = self._said(group, location)
            if record.path == "?":
                record = replace(record, path=values.text(group.image or group.key, "name"))
            contained = group.contained
            if contained is not None and contained.part is None and is_image(record.path):
                contained = replace(contained, name=record.path)  # in whichever way the tar file was opened
            yield replace(
                record,
                problems=(*group.problems, *record.problems),
                has_suffix=bool(suffix(record.path)),
                drawn="UPRIGHT",
                content=group.content,
                contained=contained,
            )
        except Invalid as refused:
            yield Problem(location, refused.message)

    def _said(self, group: _Group, location: str) -> ImageRecord:
        record = ImageRecord("?", location, usage=usages.in_path(self.name))  # unless its JSON says another
        if "json" in group.said:
            notes = list[str]()
            try:
                found = json_parts.Part("", 0, group.said["json"]).object(notes.append)
            except Invalid as refused:
                return replace(record, annotations=None, problems=(Problem(f"{location}.json", refused.message),))
            record = json_lines.record({"path": "?", **found}, self.name, f"{location}.json", self.options, notes)
            if record.annotations:
                return record
        if "txt" in group.said and "cls" not in group.said:
            annotations, problems = text_files.labels(f"{location}.txt", group.said["txt"])
            return replace(record, annotations=annotations, problems=problems)
        if "cls" in group.said:
            refuse_what_is_not_utf8(group.said["cls"], 1)
            label = values.text(group.said["cls"].decode(), "cls")
            return replace(record, annotations=(ParsedAnnotation(self.classes.get(label) or label),))
        return record


class TarImages:
    """The images of a tar file, by their positions. Of one that is compressed those before are unpacked, too."""

    def __init__(self, file: BinaryIO) -> None:
        self.file: Any = gzip.GzipFile(fileobj=file) if _is_gzip(file) else file

    def read(self, start: int, size: int) -> bytes:
        """Raises Invalid."""
        try:
            self.file.seek(start)
            data: bytes = self.file.read(size)
        except (OSError, EOFError, zlib.error) as broken:
            raise Invalid("The tar file is not whole.") from broken
        if len(data) < size:
            raise Invalid("The tar file is not whole.")
        return data


def _is_gzip(file: BinaryIO) -> bool:
    head = file.read(2)
    file.seek(0)
    return head == b"\x1f\x8b"
