"""Exports in memory: what a format makes of records, file by file, with the calls that a job makes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from db.formats.annotations import ParsedAnnotation
from db.formats.datasets import FORMATS, names
from db.formats.datasets.format import Format, Shard, expect_fit
from db.formats.datasets.records import AnnotatedImage, DatasetFacts, DatasetLabel, Options
from db.formats.shapes import Raster

PIXELS = b"the bytes of an image"


def image(path: str, *annotations: ParsedAnnotation, number: int = 1, **more: Any) -> AnnotatedImage:
    """As a job makes it, if no other image has its stem."""
    plain: dict[str, Any] = {
        "id": 100 + number,
        "format": "PNG" if path.endswith(".png") else "JPEG",
        "size": 1_000,
        "raster": Raster(100, 50),
        "state": "LABELED" if annotations else "UNLABELED",
        "file_path": names.file_path(path, number, is_unique=True),
        "file_name": names.file_name(path, number, is_unique=True),
    }
    return AnnotatedImage(
        number=number,
        path=path,
        annotations=annotations,
        **(plain | more),
    )


def facts(
    images: Iterable[AnnotatedImage], *labels: str, type: str = "OBJECT_DETECTION", mode: Any = "NONE", **options: Any
) -> DatasetFacts:
    exported = list(images)
    return DatasetFacts(
        name="pets",
        type=type,
        labels=tuple(DatasetLabel(number, name) for number, name in enumerate(labels)),
        usages=Counter(each.usage for each in exported),
        states=Counter(each.state for each in exported),
        images=mode,
        options=Options(**options),
        input_path="/in",
    )


def export(name: str, images: Sequence[AnnotatedImage], *labels: str, **more: Any) -> tuple[Format, dict[str, bytes]]:
    """The format after the export, and the content of each file; of shards, by their names."""
    known = facts(images, *labels, **more)
    expect_fit(name, FORMATS[name], known)
    written = _Written(FORMATS[name](known))
    written.add_all(images)
    return written.format, written.files


class _Written:
    def __init__(self, format_: Format) -> None:
        self.format = format_
        self.files: dict[str, bytes] = {}
        self.sections = [[bytearray(head) for head in document.head()] for document in format_.documents]

    def add_all(self, images: Sequence[AnnotatedImage]) -> None:
        format_ = self.format
        is_divided = format_.has_splits and format_.facts.is_split
        for series in format_.series():
            shard = None if format_.shard_suffix is None else format_.shard(series)
            content = b""
            for each in images:
                is_of_series = series.usages is None or each.usage in series.usages
                if (each.split or not is_divided) and is_of_series and format_.takes(each):
                    content += self._add_image(each, shard)
            if shard is not None:
                self._add_file(f"{format_.shard_name(series, 0)}{format_.shard_suffix}", content + shard.finish())
        for document, sections in zip(format_.documents, self.sections, strict=True):
            ends = zip(sections, document.tail(), strict=True)
            self._add_file(document.path, b"".join(bytes(section + end) for section, end in ends))
        for file in (*format_.static_files(), *format_.final_files()):
            self._add_file(file.path, file.data)

    def _add_image(self, image: AnnotatedImage, shard: Shard | None) -> bytes:
        format_, is_included = self.format, self.format.facts.images == "INCLUDED"
        for document, sections in zip(format_.documents, self.sections, strict=True):
            for section, part in zip(sections, document.add(image), strict=True):
                section += part
        if shard is not None:
            return shard.add(image, PIXELS if is_included else None)
        for path in (format_.image_path(image), *format_.copies(image)) if is_included else ():
            self._add_file(path, PIXELS)
        for file in format_.files(image):
            self._add_file(file.path, file.data)
        return b""

    def _add_file(self, path: str, data: bytes) -> None:
        assert path not in self.files, f"{path} twice"
        self.files[path] = data


def losses(format_: Format) -> dict[str, int]:
    return {loss.code: count for loss, count in format_.losses.counts.items()}
