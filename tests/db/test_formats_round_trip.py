"""What our writers write, our readers read: equal records, as far as each format can say it. Seeded, for each type."""

import io
import itertools
import tarfile
from collections import Counter
from collections.abc import Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from db.formats.annotations import FACTS, Attributes, Author, ParsedAnnotation
from db.formats.datasets import FORMATS
from db.formats.datasets.readers import READERS, detect
from db.formats.datasets.records import AnnotatedImage, is_confirmed
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Raster, Shape, validated
from tests.db.dataset_files import read
from tests.db.exported import export, image, losses

SEEDS = range(8)
NOON = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
LABELS = ("cat", "dog", "狗", "a b&<\"'>", "no", "1")
KINDS = ("IMAGE_CLASSIFICATION", "OBJECT_DETECTION", "IMAGE_SEGMENTATION")
SHAPES: dict[str, tuple[type, ...]] = {
    "CSV": (BoundingBox, Polygon, Polyline, Circle, Point),
    "JSON_LINES": (BoundingBox, Polygon, Polyline, Circle, Point),
    "COCO": (BoundingBox, Polygon),
    "PASCAL_VOC": (BoundingBox, Polygon, Polyline, Circle),
    "CVAT": (BoundingBox, Polygon, Polyline, Circle, Point),
    "LABEL_STUDIO": (BoundingBox, Polygon, Circle, Point),
    "HUGGING_FACE": (BoundingBox, Polygon),
    "PARQUET": (BoundingBox, Polygon),
    "WEBDATASET": (BoundingBox, Polygon, Polyline, Circle, Point),
    "CROISSANT": (BoundingBox, Polygon, Polyline, Circle, Point),
    "YOLO": (BoundingBox, Polygon),
    "IMAGE_FOLDER": (),
    "IMAGE_TEXT": (),
}
WITH_SUGGESTIONS = ("CSV", "JSON_LINES", "LABEL_STUDIO", "WEBDATASET", "CROISSANT")
WITH_WHOLE_IMAGES = FORMATS.keys() - {"COCO", "PASCAL_VOC", "YOLO"}  # beside shapes
WITH_IMAGES = ("WEBDATASET", "PARQUET", "IMAGE_FOLDER", "IMAGE_TEXT")
NAMES_OF_FOLDERS = ("cat", "dog", "狗", "no", "1")
"""In `READERS` a Croissant is the CSV that it describes."""
READ_AS = {"CROISSANT": "CSV"}


@pytest.mark.parametrize("has_splits", [None, False])
@pytest.mark.parametrize("name", sorted(SHAPES.keys() - {"IMAGE_TEXT"}))
def test_a_usage_that_no_split_says_is_not_made_up(name: str, has_splits: bool | None) -> None:
    """Neither where there is none, nor where all images are to be in one part."""
    box = ParsedAnnotation("cat", None if name == "IMAGE_FOLDER" else BoundingBox(1, 2, 30, 40))
    usages = (None, "INFERENCE") if has_splits is None else (None, "INFERENCE", "EVAL")
    images = [
        image(f"{number}.png", box, number=number, usage=usage, state="LABELED")
        for number, usage in enumerate(usages, start=1)
    ]
    kind = "IMAGE_CLASSIFICATION" if name == "IMAGE_FOLDER" else "OBJECT_DETECTION"
    options = {} if has_splits is None or "has_splits" not in FORMATS[name].options else {"has_splits": has_splits}
    mode = "INCLUDED" if name in WITH_IMAGES else "NONE"
    _, files = export(name, images, "cat", type=kind, mode=mode, **options)
    if name == "WEBDATASET":
        files = {"train-set-000000.tar": tarred(files)}
    records, problems = read(READERS[READ_AS.get(name, name)], files, kind)
    says_usage = name in ("CSV", "CROISSANT", "JSON_LINES", "LABEL_STUDIO", "HUGGING_FACE", "PARQUET", "WEBDATASET")
    assert not problems
    assert [record.usage for record in records] == [usage if says_usage else None for usage in usages]


@pytest.mark.parametrize("has_splits", [None, False])
@pytest.mark.parametrize("usages", [(None, "INFERENCE"), (None, "INFERENCE", "TRAIN", "EVAL")])
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in sorted(SHAPES) for kind in KINDS[:2]])
def test_what_files_do_not_say_of_usages_is_counted(
    name: str, kind: str, usages: tuple[str | None, ...], has_splits: bool | None
) -> None:
    """What comes back is the usage, or there is a warning for it."""
    if kind not in FORMATS[name].types:
        pytest.skip("a format for other datasets")
    one = ParsedAnnotation("cat", BoundingBox(1, 2, 30, 40) if kind == "OBJECT_DETECTION" else None)
    images = [image(f"{n}.png", one, number=n, usage=usage) for n, usage in enumerate(usages, start=1)]
    options = {"has_splits": has_splits} if "has_splits" in FORMATS[name].options else {}
    mode = "INCLUDED" if "INCLUDED" in FORMATS[name].images else "NONE"
    format_, files = export(name, images, "cat", type=kind, mode=mode, **options)
    reader = "IMAGE_FOLDER" if (name, kind) == ("YOLO", KINDS[0]) else READ_AS.get(name, name)
    if name == "WEBDATASET":
        files = {"set-000000.tar": tarred(files)}
    records, problems = read(READERS[reader], files, kind)
    back = {record.path.rpartition("/")[2]: record.usage for record in records}
    lost = Counter(
        "USAGE"
        if name == "IMAGE_TEXT"
        else "USAGE_NOT_SPLIT"
        if each.usage in ("TRAIN", "EVAL")
        else "USAGE_IN_NO_SPLIT"
        for each in images
        if each.path in back and back[each.path] != each.usage
    )
    if name == "CVAT" and len(usages) > 2 and has_splits is None:
        lost["USAGE_IN_NO_SPLIT"] += 1  # in the subset `default`, with no usage
    assert not problems
    assert losses(format_) == lost


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_what_is_known_of_annotations_and_hard_images_come_back_or_are_counted(name: str, kind: str) -> None:
    if kind not in FORMATS[name].types:
        pytest.skip("a format for other datasets")
    shape = BoundingBox(1, 2, 30, 40) if kind == "OBJECT_DETECTION" else None
    all_ = Attributes(difficult=True, truncated=True, occluded=True, pose="Left")
    known = ParsedAnnotation("cat", shape, 0.25, all_, author=Author("ann", NOON))
    odd = image("1.png", known, is_hard=True)
    mode = "INCLUDED" if "INCLUDED" in FORMATS[name].images else "NONE"
    format_, files = export(name, [odd], "cat", type=kind, mode=mode)
    if name == "WEBDATASET":
        files = {"set-000000.tar": tarred(files)}
    reader = "IMAGE_FOLDER" if (name, kind) == ("YOLO", KINDS[0]) else READ_AS.get(name, name)
    [record], _ = read(READERS[reader], files, kind)
    [back] = record.annotations or ()
    lost = {name.upper() for name in set(FACTS).difference(back.facts())} | (set() if record.hard else {"HARD"})
    assert losses(format_) == dict.fromkeys(lost, 1)
    assert (back.author, back.confidence) in itertools.product((known.author, None), (0.25, None))


def test_nothing_is_counted_of_annotations_that_are_counted_as_left_out() -> None:
    left_out = (
        ParsedAnnotation("cat", BoundingBox(1, 2, 30, 40), 0.5, author=Author("m", NOON, confirmed=False)),
        ParsedAnnotation("cat", Point(Position(1, 1)), author=Author("ann", NOON)),
        ParsedAnnotation("cat", author=Author("ann", NOON)),
    )
    format_, _ = export("PASCAL_VOC", [image("1.png", *left_out)], "cat")
    assert losses(format_) == {"SUGGESTIONS": 1, "POINTS": 1, "WHOLE_IMAGE": 1}


def test_a_usage_that_only_the_folder_says_is_counted() -> None:
    usages = ("TRAIN", "EVAL", None)
    images = [
        image(f"train/{number}.png", ParsedAnnotation("cat"), number=number, usage=usage)
        for number, usage in enumerate(usages, start=1)
    ]
    format_, files = export("IMAGE_TEXT", images, "cat", type="IMAGE_CLASSIFICATION", mode="INCLUDED")
    records, _ = read(READERS["IMAGE_TEXT"], files, "IMAGE_CLASSIFICATION")
    assert [record.usage for record in records] == ["TRAIN"] * 3
    assert losses(format_) == {"USAGE_OF_FOLDER": 2}


@pytest.mark.parametrize("usages", [(None,), ("TRAIN",), ("TRAIN", "EVAL")])
@pytest.mark.parametrize("labels", [("train", "val"), ("train",), ("train", "cat"), ("cat",), ("Test", "dev", "no")])
@pytest.mark.parametrize("name", ["IMAGE_FOLDER", "YOLO"])
@pytest.mark.parametrize("outside", ["", "x/", "train/"])
def test_a_label_may_be_called_as_a_usage(
    outside: str, name: str, labels: tuple[str, ...], usages: tuple[str | None, ...]
) -> None:
    """Also where the export is unpacked into a folder."""
    pairs = [(label, usage) for label in labels for usage in usages]
    images = [
        image(f"{number}.png", ParsedAnnotation(label), number=number, usage=usage)
        for number, (label, usage) in enumerate(pairs, start=1)
    ]
    format_, files = export(name, images, *labels, type="IMAGE_CLASSIFICATION", mode="INCLUDED")
    files = {outside + path: data for path, data in files.items()}
    assert detect(sorted(files), lambda each: files[each]) == "IMAGE_FOLDER"
    records, problems = read(READERS["IMAGE_FOLDER"], files, "IMAGE_CLASSIFICATION")
    assert not problems
    assert not losses(format_)
    found = {each.path.rpartition("/")[2]: ((each.annotations or ())[0].label, each.usage) for each in records}
    if outside == "train/" and usages == (None,) and not any(path.endswith(".md") for path in files):
        pairs = [(label, "TRAIN") for label, _ in pairs]
    assert found == {each.path: pair for each, pair in zip(images, pairs, strict=True)}


def test_folders_that_others_have_made_are_labels_or_usages() -> None:
    for paths, expected in (
        (("train/1.png", "cat/2.png"), [("cat", None), ("train", None)]),
        (("train/1.png", "val/2.png"), [(None, "TRAIN"), (None, "EVAL")]),
        (("train/train/1.png", "train/val/2.png"), [("train", "TRAIN"), ("val", "TRAIN")]),
        (("test/train/cat/1.png", "test/val/cat/2.png"), [("cat", "TRAIN"), ("cat", "EVAL")]),
    ):
        records, _ = read(READERS["IMAGE_FOLDER"], dict.fromkeys(paths, b""), "IMAGE_CLASSIFICATION")
        found = [(each.annotations[0].label if each.annotations else None, each.usage) for each in records]
        assert found == expected


class Dataset:
    """Made up from a seed."""

    def __init__(self, seed: int, kind: str, format_: str) -> None:
        self.random, self.kind, self.format = Random(f"{seed}{kind}{format_}"), kind, format_
        self.images = [self._image(number) for number in range(1, self.random.randrange(1, 12))]

    def _image(self, number: int) -> AnnotatedImage:
        raster = Raster(self.random.randrange(50, 400), self.random.randrange(50, 400), self.random.randrange(1, 9))
        if self.format == "PASCAL_VOC":
            raster = replace(raster, orientation=1)
        annotations = [self._annotation(raster) for _ in range(self.random.randrange(5))]
        whole = {each.label: each for each in annotations if each.shape is None}
        kept = tuple(each for each in annotations if each.shape is not None or whole[each.label] is each)
        return image(
            f"{self.random.choice(('', 'a/', 'é/b c/'))}{number}.{self.random.choice(('jpg', 'png', 'x.jpg'))}",
            *kept,
            number=number,
            raster=raster,
            usage=self.random.choice(("TRAIN", "EVAL", "TEST")),
            state="LABELED" if any(map(is_confirmed, kept)) else "PENDING" if kept else "UNLABELED",
        )

    def _annotation(self, raster: Raster) -> ParsedAnnotation:
        shape = None
        if self.kind != "IMAGE_CLASSIFICATION":
            kinds = [each for each in SHAPES[self.format] if self.kind == "OBJECT_DETECTION" or each is Polygon]
            kinds = kinds[:1] if self.format == "YOLO" else kinds  # its tasks have boxes or polygons
            kinds += [type(None)] if self.format in WITH_WHOLE_IMAGES else []
            kind = self.random.choice(kinds)
            shape = None if kind is type(None) else self._shape(kind, raster)
        is_guess = self.format in WITH_SUGGESTIONS and self.random.random() < 0.3
        author = Author(f"{self.random.choice('mn')}", self._moment(), confirmed=not is_guess)
        confidence = round(self.random.random(), 3) if is_guess or self.random.random() < 0.3 else None
        labels = NAMES_OF_FOLDERS if self.format == "IMAGE_FOLDER" else LABELS
        return ParsedAnnotation(self.random.choice(labels), shape, confidence, Attributes(), author=author)

    def _moment(self) -> datetime:
        return NOON + timedelta(milliseconds=self.random.randrange(10**9))

    def _shape(self, kind: type, raster: Raster) -> Shape:
        def position() -> Position:
            digits = self.random.choice((0, 1, 6))
            return Position(*(round(self.random.uniform(0, side), digits) for side in raster.size))

        while True:
            points = tuple(position() for _ in range(self.random.randrange(3, 8)))
            (left, right), (top, bottom) = sorted((points[0].x, points[1].x)), sorted((points[0].y, points[1].y))
            shapes: dict[type, Shape] = {
                BoundingBox: BoundingBox(left, top, right, bottom),
                Polygon: Polygon(points),
                Polyline: Polyline(points),
                Point: Point(points[0]),
                Circle: Circle(Position(25, 25), round(self.random.uniform(1, 20), 3)),
            }
            try:
                return validated(shapes[kind], kind="OBJECT_DETECTION", width=raster.width, height=raster.height)
            except Exception:  # noqa: S112, it would be flat: another one
                continue


def tarred(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def said(annotations: tuple[ParsedAnnotation, ...], says: Set[str]) -> Counter[tuple[object, ...]]:
    """As far as a format says these facts."""

    def known(each: ParsedAnnotation) -> tuple[object, ...]:
        author, sure = each.author if "labeled_by" in says else None, each.confidence if "confidence" in says else None
        return each.label, each.shape, is_confirmed(each), sure, author

    return Counter(map(known, annotations))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_written_is_read(seed: int, name: str, kind: str) -> None:
    if kind not in FORMATS[name].types or (name, kind) == ("YOLO", "IMAGE_CLASSIFICATION"):
        pytest.skip("a format for other datasets")
    made = Dataset(seed, kind, name)
    mode = "INCLUDED" if name in WITH_IMAGES else "NONE"
    format_, files = export(name, made.images, *LABELS, type=kind, mode=mode)
    other = FORMATS[name](format_.facts)
    exported = [each for each in made.images if other.includes(each)]
    if not exported:
        pytest.skip("nothing that the format could say")
    assert detect(sorted(files), lambda each: files[each][:65536]) == READ_AS.get(name, name)
    if name == "WEBDATASET":
        files = {"train.tar": tarred(files)}
    records, problems = read(READERS[READ_AS.get(name, name)], files, kind)
    assert not problems
    found = {record.path.rpartition("/")[2]: record for record in records}
    assert len(found) == len(records) == len(exported)
    for each in exported:
        record = found.get(each.path.rpartition("/")[2]) or found[each.path.rpartition("/")[2].rpartition(".")[0]]
        on_it = record.on(each.raster, kind=kind)
        assert on_it.problems == record.problems == ()
        says = FORMATS[name].says
        assert said(on_it.annotations or (), says) == said(each.annotations, says)
        assert record.usage == (None if name == "IMAGE_TEXT" else each.usage)
