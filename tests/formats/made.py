"""What the libraries are to read: the photographs in `examples/` as three datasets, in every format that fits, each in
a folder of its own; and `expected.json`, what is on each image."""

import io
import json
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db.formats import images, shapes
from db.formats.annotations import Author, ParsedAnnotation
from db.formats.datasets import FORMATS
from db.formats.datasets.format import Format, expect_fit
from db.formats.datasets.readers import pascal_voc, text_files
from db.formats.datasets.reading import ImageRecord, Reader, ReadOptions
from db.formats.datasets.records import AnnotatedImage
from db.formats.shapes import BoundingBox, Polygon, Position, Raster, Shape
from tests.db.dataset_files import in_folder
from tests.db.exported import facts, image

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
MAX_PIXELS = 25_000_000
ANN = Author("ann", datetime(2026, 11, 30, 12, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    kind: str
    images: Sequence[AnnotatedImage]
    contents: dict[int, bytes]  # by the images' numbers

    @property
    def labels(self) -> list[str]:
        return sorted({each.label for image in self.images for each in image.annotations})


def datasets() -> list[Dataset]:
    """Boxes of cells, split in two; the same as outlines; labels of photographs; and both with splits that have less
    than others."""
    cells = _read("cells", pascal_voc.read, "OBJECT_DETECTION", usages=("TRAIN", "TRAIN", "EVAL"))
    outlined = [
        replace(image, annotations=tuple(replace(each, shape=_outline(each.shape)) for each in image.annotations))
        for image in cells.images
    ]
    outlines = Dataset("outlines", "IMAGE_SEGMENTATION", outlined, cells.contents)
    digits = _read("digits", text_files.read, "IMAGE_CLASSIFICATION", usages=(None,))
    uneven = Dataset("uneven", "IMAGE_SEGMENTATION", _uneven(cells.images, outlined), cells.contents)
    halves = [
        replace(image, usage="TEST", annotations=()) if image.number % 2 else replace(image, usage="TRAIN")
        for image in digits.images
    ]
    return [cells, outlines, digits, uneven, replace(digits, name="unlabelled", images=halves)]


def _uneven(boxes: Sequence[AnnotatedImage], outlined: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """In training nothing, then outlines and a label of the whole image; in evaluation boxes; in the test nothing."""
    half = len(boxes) // 2
    train = [replace(boxes[0], annotations=()), *outlined[1:half]]
    train[-1] = replace(train[-1], annotations=(*train[-1].annotations, ParsedAnnotation("RBC")))
    used = {"TRAIN": train, "EVAL": boxes[half:-1], "TEST": [replace(boxes[-1], annotations=())]}
    return [replace(image, usage=usage) for usage, images in used.items() for image in images]


def _read(name: str, reader: Reader, kind: str, *, usages: Sequence[str | None]) -> Dataset:
    files = in_folder(EXAMPLES / name)
    records = list(reader(files, ReadOptions(kind)))
    made, contents = list[AnnotatedImage](), dict[int, bytes]()
    for number, record in enumerate(records, start=1):
        assert isinstance(record, ImageRecord), record
        assert not record.problems, record
        content = files.files[record.path]
        found = images.facts(content, MAX_PIXELS)
        raster = Raster(found.width, found.height, found.orientation)
        usage = usages[number % len(usages)]
        known: dict[str, Any] = {"author": ANN, "confidence": 0.5 if usage == "TRAIN" else None}  # in one split only
        annotations = tuple(replace(each, **known) for each in record.on(raster, kind=kind).annotations or ())
        more: dict[str, Any] = {"raster": raster, "usage": usage, "size": len(content), "format": found.format}
        made.append(image(record.path, *annotations, number=number, **more))
        contents[number] = content
    return Dataset(name, kind, made, contents)


def _outline(shape: Shape | None) -> Polygon:
    """An octagon in a box, with the same hull."""
    assert isinstance(shape, BoundingBox)
    left, top, right, bottom = shapes.extent(shape)
    x, y = (right - left) / 4, (bottom - top) / 4
    corners = ((left + x, top), (right - x, top), (right, top + y), (right, bottom - y))
    others = ((right - x, bottom), (left + x, bottom), (left, bottom - y), (left, top + y))
    return Polygon(tuple(Position(*corner) for corner in corners + others))


def write(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for dataset in datasets():
        expected = {Path(each.path).stem: [_said(label) for label in each.annotations] for each in dataset.images}
        (folder / dataset.name).mkdir(parents=True)
        (folder / dataset.name / "expected.json").write_text(json.dumps(expected))
        for name, format_ in FORMATS.items():
            if dataset.kind in format_.types and "INCLUDED" in format_.images:
                _write(folder / dataset.name / name, dataset, name, format_)
        if dataset.kind == "IMAGE_SEGMENTATION":
            _write(folder / dataset.name / "COCO with masks", dataset, "COCO", FORMATS["COCO"], segmentation="RLE")


def _said(annotation: ParsedAnnotation) -> tuple[str, Any]:
    return annotation.label, None if annotation.shape is None else shapes.extent(annotation.shape)


def _write(folder: Path, dataset: Dataset, name: str, format_: type[Format], **options: Any) -> None:
    known = facts(dataset.images, *dataset.labels, type=dataset.kind, mode="INCLUDED", **options)
    expect_fit(name, format_, known)
    export = format_(known)
    for path, data in _files(export, dataset):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def _files(export: Format, dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    is_divided = export.has_splits and export.facts.is_split
    exported = [each for each in dataset.images if each.split or not is_divided]
    for series in export.series():
        images = [each for each in exported if series.usages is None or each.usage in series.usages]
        if export.shard_suffix is not None:
            shard = export.shard(series)
            parts = [shard.add(each, dataset.contents[each.number]) for each in images if export.takes(each)]
            yield f"{export.shard_name(series, 0)}{export.shard_suffix}", b"".join([*parts, shard.finish()])
            continue
        packed = [file for each in images if export.takes(each) for file in _of_image(export, each, dataset)]
        yield from [(f"{export.shard_name(series, 0)}.tar", _tar(packed))] if export.packing == "TAR" else packed
    for document in export.documents:
        sections = [document.head(), *(document.add(each) for each in exported), document.tail()]
        yield document.path, b"".join(b"".join(parts) for parts in zip(*sections, strict=True))
    yield from ((file.path, file.data) for file in (*export.static_files(), *export.final_files()))


def _of_image(export: Format, image: AnnotatedImage, dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    for path in (export.image_path(image), *export.copies(image)):
        yield path, dataset.contents[image.number]
    yield from ((file.path, file.data) for file in export.files(image))


def _tar(files: Iterable[tuple[str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in files:
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()
