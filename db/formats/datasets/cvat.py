"""CVAT for images 1.1: `annotations.xml` next to the folder `images`. Pixels are those of the upright image.

Labels of whole images are tags, circles ellipses. What is known of an annotation, but for `occluded`, is in attributes,
declared with the labels.
"""

from collections.abc import Iterator, Sequence, Set
from typing import Final
from xml.sax.saxutils import quoteattr

from db.formats.annotations import FACTS, ParsedAnnotation
from db.formats.datasets.format import Document, Format
from db.formats.datasets.outlines import short
from db.formats.datasets.records import SPLITS, AnnotatedImage, DatasetFacts, who_and_when
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Shape
from db.formats.sidecars.voc.write import xml_text

NO_SPLIT: Final = "default"  # the subset of images that are in no split
DECLARED: Final = (
    *(("difficult", "checkbox", "false"), ("truncated", "checkbox", "false"), ("pose", "text", "")),
    *(("confidence", "text", ""), ("labeled_by", "text", ""), ("labeled_at", "text", "")),
)


class Cvat(Format):
    images = ("NONE", "INCLUDED")
    options = frozenset({"has_splits"})
    is_single_files = True
    says = frozenset(FACTS)

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.documents = (_Annotations(facts),)

    def usage_said(self, image: AnnotatedImage) -> str | None:
        return image.usage if self.facts.is_split and image.split else None

    def said_of(self, annotation: ParsedAnnotation) -> Set[str]:
        return self.says - {"occluded"} if annotation.shape is None else self.says  # tags have none


class _Annotations(Document):
    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__("annotations.xml")
        self.facts = facts

    def head(self) -> Sequence[bytes]:
        kind = "project" if self.facts.is_split else "task"
        lines = [
            '<?xml version="1.0" encoding="utf-8"?>',
            "<annotations>",
            "  <version>1.1</version>",
            "  <meta>",
            f"    <{kind}>",
            f"      <name>{xml_text(self.facts.name)}</name>",
            f"      <size>{self.facts.image_count}</size>",
            "      <mode>annotation</mode>",
            "      <labels>",
            *(line for label in self.facts.labels for line in _label(label.name, label.color)),
            "      </labels>",
            *_subsets(self.facts),
            f"    </{kind}>",
            "  </meta>",
            "",
        ]
        return ("\n".join(lines).encode(),)

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        upright = image.upright
        width, height = upright.raster.size
        attributes = {"id": image.number - 1, "name": image.file_path, "width": width, "height": height}
        if self.facts.is_split:
            attributes["subset"] = image.split or NO_SPLIT
        lines = [
            f"  <image{_attributes(attributes)}>",
            *(line for each in upright.confirmed for line in _shape(each)),
            "  </image>",
            "",
        ]
        return ("\n".join(lines).encode(),)

    def tail(self) -> Sequence[bytes]:
        return (b"</annotations>\n",)


def _subsets(facts: DatasetFacts) -> Iterator[str]:
    """Only projects have them."""
    if facts.is_split:
        has_others = any(count for usage, count in facts.usages.items() if usage not in SPLITS)
        yield "      <subsets>"
        for split in (*facts.splits, *([NO_SPLIT] if has_others else [])):
            yield f"        <subset>{split}</subset>"
        yield "      </subsets>"


def _label(name: str, color: str | None) -> Iterator[str]:
    yield "        <label>"
    yield f"          <name>{xml_text(name)}</name>"
    if color is not None:
        yield f"          <color>{color}</color>"
    yield "          <attributes>"
    for attribute, input_type, default in DECLARED:
        value = f"<default_value>{default}</default_value><values>{default}</values>"
        kind = f"<mutable>False</mutable><input_type>{input_type}</input_type>"
        yield f"            <attribute><name>{attribute}</name>{kind}{value}</attribute>"
    yield "          </attributes>"
    yield "        </label>"


def _shape(annotation: ParsedAnnotation) -> Iterator[str]:
    kind, numbers = _element(annotation.shape)
    attributes = {"label": annotation.label, "source": "manual"}
    if kind != "tag":
        attributes["occluded"] = str(int(annotation.attributes.occluded))
    inner = list(_inner(annotation))
    opening = f"    <{kind}{_attributes(attributes | numbers)}"
    if not inner:
        yield f"{opening}/>"
        return
    yield f"{opening}>"
    yield from inner
    yield f"    </{kind}>"


def _inner(annotation: ParsedAnnotation) -> Iterator[str]:
    attributes = annotation.attributes
    said = {name: "true" for name in ("difficult", "truncated") if getattr(attributes, name)}
    said |= {} if attributes.pose is None else {"pose": attributes.pose}
    said |= {} if annotation.confidence is None else {"confidence": repr(annotation.confidence)}
    for name, value in (said | who_and_when(annotation)).items():
        yield f'      <attribute name="{name}">{xml_text(value)}</attribute>'


def _element(shape: Shape | None) -> tuple[str, dict[str, str]]:
    match shape:
        case None:
            return "tag", {}
        case BoundingBox(left, top, right, bottom):
            edges = {"xtl": left, "ytl": top, "xbr": right, "ybr": bottom}
            return "box", {name: _number(edge) for name, edge in edges.items()}
        case Polygon(points):
            return "polygon", _points(points)
        case Polyline(points):
            return "polyline", _points(points)
        case Point(position):
            return "points", _points((position,))
        case Circle(center, radius):
            numbers = {"cx": center.x, "cy": center.y, "rx": radius, "ry": radius}
            return "ellipse", {name: _number(each) for name, each in numbers.items()}


def _points(points: Sequence[Position]) -> dict[str, str]:
    return {"points": ";".join(f"{_number(point.x)},{_number(point.y)}" for point in points)}


def _number(number: float) -> str:
    return f"{short(number):.15g}"


def _attributes(attributes: dict[str, str] | dict[str, object]) -> str:
    return "".join(f" {name}={quoteattr(xml_text(str(value), escaped=False))}" for name, value in attributes.items())
