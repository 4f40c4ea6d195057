"""JSON Lines: an object for each image. Ours have the names of the GraphQL API; of others these are read:

path | file_name | image | image_path | …           as the columns of CSV, with `label` or `labels` for image labels
confidence, labeled_by, labeled_at                  of the label; lists, one for each of `labels`
annotations: [{label, shape, …}]                    a shape as ours, or `bbox`: [xmin, ymin, xmax, ymax]
objects: {"bbox": [[x, y, width, height], …], "categories" | "category" | "label": […],     Hugging Face
          "segmentation": [[x1, y1, x2, y2, …] or [], …], "confidence" | "labeled_by" | "labeled_at": […]}
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice, zip_longest
from typing import Any, BinaryIO, Final

import orjson

from db.errors import Invalid
from db.formats import json_values, names, shapes
from db.formats.annotations import ATTRIBUTES, ParsedAnnotation
from db.formats.datasets import usages
from db.formats.datasets.outlines import around
from db.formats.datasets.readers import values
from db.formats.datasets.readers.labels_csv import meanings
from db.formats.datasets.readers.lines import TOO_LONG, byte_lines, refuse_what_is_not_utf8
from db.formats.datasets.reading import MAX_ANNOTATIONS, Files, ImageRecord, Problem, ReadOptions, opened
from db.formats.names import quoted
from db.formats.paths import suffix
from db.formats.shapes import BoundingBox, Polygon, Position, Shape

SUFFIXES: Final = (".jsonl", ".ndjson")
MARK: Final = b"\xef\xbb\xbf"
FIELDS: Final = {name: name if name == "pose" else f"is{name.title()}" for name in ATTRIBUTES}
OBJECT_LABELS: Final = ("categories", "category", "labels", "label", "classes", "class")
NAMELESS: Final = ([0, 0, 0, 0], "")  # stands for no box: it gives the columns their types
# What is said of a label of the image, and in which column.
OF_LABELS: Final = {"confidence": "confidence", "labeledBy": "labeledby", "labeledAt": "labeledat"}


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    names_ = [name for name in files.names() if suffix(name) in SUFFIXES]
    if not names_:
        raise Invalid("There is no file of JSON Lines (`.jsonl`).")
    for name in names_:
        with opened(files, name) as file:
            yield from _read(file, name, options)


def _read(file: BinaryIO, name: str, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    has_object = False
    for number, line in byte_lines(file):
        location = f"{name}:{number}"
        if line is None:
            yield Problem(location, TOO_LONG)
            continue
        line = line.removeprefix(MARK) if number == 1 else line
        if not line.strip():
            continue
        notes = list[str]()
        try:
            found = json_values.loads(line, notes.append)
        except orjson.JSONDecodeError:
            refuse_what_is_not_utf8(line, number)
            found = None
        if isinstance(found, dict):
            has_object = True
            try:
                yield record(found, name, location, options, notes)
            except Invalid as refused:
                yield Problem(location, refused.message)
        elif not has_object:
            raise Invalid(f"{name} is no JSON Lines file: line {number} is not a JSON object.")
        else:
            yield Problem(location, "The line is not a JSON object.")


def record(
    item: Mapping[str, Any], name: str, location: str, options: ReadOptions, notes: Iterable[str] = ()
) -> ImageRecord:
    """An image as an object says it, of a line or of a row of Parquet. Raises Invalid."""
    known = {key: value for key, value in item.items() if value is not None}
    keys = list(known)
    said = {meaning: known[keys[index]] for meaning, index in meanings(keys).items()}
    path = said.get("path")
    if isinstance(path, dict):  # an image of Hugging Face
        path = path.get("path")
    path = values.path(path if path is not None else said.get("id"), "path")
    annotations, problems = list[ParsedAnnotation](), [Problem(location, note) for note in notes]
    items = list(islice(_items(item, said), MAX_ANNOTATIONS + 1))  # a line may have millions

    def note(message: str) -> None:
        problems.append(Problem(location, message))

    for index, each in enumerate(items[:MAX_ANNOTATIONS]):
        try:
            annotations.append(_annotation(each, index, options.kind, note))
        except Invalid as refused:
            problems.append(Problem(location, refused.message))
    if len(items) > MAX_ANNOTATIONS:
        problems.append(Problem(location, f"An image has at most {MAX_ANNOTATIONS:,} annotations."))
    whole = {each.label: each for each in reversed(annotations) if each.shape is None}
    annotations = [each for each in annotations if each.shape is not None or whole[each.label] is each]
    usage = usages.in_path(name)
    if "usage" in said:
        usage = values.usage_of_column(said["usage"], keys[meanings(keys)["usage"]], location, problems)
    elif len(known) < len(item) and "usage" in meanings(list(item)):  # as null
        usage = None
    hard = said.get("hard")
    return ImageRecord(
        path,
        location,
        tuple(annotations) if annotations or not items else None,
        values.size(said.get("width", said.get("either width")), said.get("height", said.get("either height"))),
        usage,
        hard if isinstance(hard, bool) else None,
        tuple(problems),
        has_suffix="path" in said or bool(suffix(path)),
        folder=name.rpartition("/")[0],
        within=f"{location}#/annotations/",
        drawn="STORED" if "orientation" in said else None,
        file=values.other_file(path, said["file"]) if "file" in said else None,
    )


def _items(item: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The annotations, however they are said."""
    annotations = item.get("annotations")
    if isinstance(annotations, list):
        yield from (each if isinstance(each, dict) else {} for each in annotations)
        return
    objects = item.get("objects")
    if isinstance(objects, dict):
        boxes = objects.get("bbox", objects.get("bboxes"))
        names_ = next((objects[name] for name in OBJECT_LABELS if isinstance(objects.get(name), list)), None)
        others = map(objects.get, ("segmentation", "confidence", "labeled_by", "labeled_at"))
        columns = (each if isinstance(each, list) else [] for each in (boxes, names_, *others))
        keys = ("xywh", "label", "outline", "confidence", "labeledBy", "labeledAt")
        yield from (dict(zip(keys, each, strict=True)) for each in zip_longest(*columns) if each[:2] != NAMELESS)
    elif isinstance(objects, list):
        for each in objects:
            yield {**each, "xywh": each.get("bbox"), "bbox": None} if isinstance(each, dict) else {}
    first, labels = said.get("label"), said.get("labels")
    labels = labels if isinstance(labels, list) else [labels]
    is_more = first is not None and first != "" and first not in labels
    for index, label in enumerate([first, *labels] if is_more else labels):
        if label is not None and label != "":
            yield {"label": label} | {
                name: _of_label(said.get(of), index, len(labels), is_more=is_more) for name, of in OF_LABELS.items()
            }


def _of_label(value: Any, index: int, count: int, *, is_more: bool) -> Any:
    """What is said of a label: the same of each, or what a list has at its place. One for each of these `labels` says
    nothing of the `label` that `is_more`, and is in front of them."""
    if not isinstance(value, list):
        return value
    place = index - 1 if is_more and len(value) <= count else index
    return value[place] if 0 <= place < len(value) else None


def _annotation(item: Mapping[str, Any], index: int, kind: str, note: values.Note) -> ParsedAnnotation:
    label = next((item[name] for name in ("label", "class", "category", "name") if item.get(name) is not None), None)
    shape = None if kind == "IMAGE_CLASSIFICATION" else _shape(item)
    color, shortcut = item.get("color"), item.get("shortcut")
    name = "score" if "score" in item and "confidence" not in item else "confidence"
    confidence = values.known_confidence(item.get(name), name, note)
    attributes = values.attributes(item, note, FIELDS)
    if "isConfirmed" in item:  # ours: what is left out is not so; elsewhere it is not said
        missing = {name for name, field in FIELDS.items() if field not in item}
        attributes = replace(attributes, said=attributes.said | missing)
    return ParsedAnnotation(
        values.text(label, "label"),
        shape,
        confidence,
        attributes,
        index,
        values.author(
            item.get("labeledBy"), item.get("labeledAt"), note, confirmed=item.get("isConfirmed") is not False
        ),
        names.color(color) if isinstance(color, str) else None,
        names.shortcut(shortcut) if isinstance(shortcut, str) else None,
    )


def _shape(item: Mapping[str, Any]) -> Shape | None:
    shape = item.get("shape")
    if shape is not None:
        if not isinstance(shape, dict):
            raise Invalid(f"`shape` must be a JSON object, and is {quoted(shape)}.")
        return shapes.from_json(shape)
    outline, box = item.get("outline"), item.get("xywh")
    if isinstance(outline, list) and outline and not _is_around(outline, box):
        numbers = [values.number(each, "segmentation") for each in outline]
        if len(numbers) % 2:
            raise Invalid("`segmentation` must have pairs of numbers, and has an odd number of them.")
        return Polygon(tuple(map(Position, numbers[::2], numbers[1::2])))
    for name in ("bbox", "xywh"):
        box = item.get(name)
        if box is not None:
            if not isinstance(box, list) or len(box) != 4:
                raise Invalid(f"`bbox` must have four numbers, and is {quoted(box)}.")
            left, top, right, bottom = (values.number(each, "bbox") for each in box)
            return BoundingBox(left, top, *((right, bottom) if name == "bbox" else (left + right, top + bottom)))
    return None


def _is_around(outline: list[Any], box: Any) -> bool:
    """Whether an outline is no more than that of its box, closed."""
    is_box = isinstance(box, list) and len(box) == 4 and all(isinstance(each, int | float) for each in box)
    return is_box and outline == around(box)
