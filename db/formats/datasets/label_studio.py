"""Label Studio: a JSON file of tasks, and the configuration of a project that shows them. Numbers are in percent of the
upright image. Suggestions are predictions, one for each model. A result's `meta` has what is known of it apart from its
score."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final
from xml.sax.saxutils import quoteattr

import orjson

from db.formats import shapes
from db.formats.annotations import FACTS, ParsedAnnotation
from db.formats.datasets.format import POLYLINES, Document, File, Format, Loss
from db.formats.datasets.records import AnnotatedImage, DatasetFacts, is_confirmed, who_and_when
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline
from db.formats.sidecars.voc.write import xml_text

CONFIGURATION: Final = "label_config.xml"
CONTROLS: Final = ("RectangleLabels", "PolygonLabels", "EllipseLabels", "KeyPointLabels")
NO_AUTHOR: Final = "model"


class LabelStudio(Format):
    is_single_files = True
    says_suggestions = True
    says = frozenset(FACTS)

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.documents = (_Tasks(f"{facts.name}.json", self),)

    def shape_loss(self, annotation: ParsedAnnotation) -> Loss | None:
        return POLYLINES if isinstance(annotation.shape, Polyline) else None

    def static_files(self) -> Sequence[File]:
        return (File(CONFIGURATION, "\n".join(_configuration(self.facts)).encode()),)


class _Tasks(Document):
    def __init__(self, path: str, format_: LabelStudio) -> None:
        super().__init__(path)
        self.format = format_
        self.has_task = False

    def head(self) -> Sequence[bytes]:
        return (b"[",)

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        comma, self.has_task = b"," if self.has_task else b"", True
        location = self.format.image_path(image) if self.format.facts.images == "INCLUDED" else image.url
        data = {"image": location or image.path, "path": image.path, "usage": image.usage}
        drawn = [each for each in image.upright.annotations if not isinstance(each.shape, Polyline)]
        confirmed = [each for each in drawn if is_confirmed(each)]
        guesses = sorted((each for each in drawn if not is_confirmed(each)), key=_author)
        task = {
            "id": image.number,
            "data": {name: value for name, value in data.items() if value is not None},
            "annotations": [{"result": _results(image, confirmed)}] if confirmed or image.state == "LABELED" else [],
            "predictions": [
                {"model_version": author, "result": _results(image, list(some))}
                for author, some in groupby(guesses, key=_author)
            ],
        }
        return (comma + b"\n" + orjson.dumps(task),)

    def tail(self) -> Sequence[bytes]:
        return (b"\n]\n",)


def _author(annotation: ParsedAnnotation) -> str:
    if annotation.model is not None:
        return " ".join(annotation.model)
    return annotation.author.by if annotation.author else NO_AUTHOR


def _results(image: AnnotatedImage, annotations: Sequence[ParsedAnnotation]) -> list[dict[str, Any]]:
    width, height = image.raster.upright
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    results: list[dict[str, Any]] = []
    for index, each in enumerate(annotations, start=1):
        kind, name, value = _value(each, width, height)
        known: dict[str, Any] = {} if each.confidence is None else {"score": each.confidence}
        if meta := {**(each.attributes.to_json() or {}), **who_and_when(each)}:
            known["meta"] = meta
        front = {"id": f"{image.number}-{index}", "type": kind, "from_name": name, "to_name": "image"}
        results.append(front | (size if each.shape is not None else {}) | {"value": value} | known)
    return results


def _value(annotation: ParsedAnnotation, width: int, height: int) -> tuple[str, str, dict[str, Any]]:
    """The type of the result, the name of its control, and its value."""
    labels = [annotation.label]
    match annotation.shape:
        case None | Polyline():
            return "choices", "choice", {"choices": labels}
        case BoundingBox() as box:
            left, top, right, bottom = shapes.extent(box)
            sides = {"x": left / width, "y": top / height, "width": (right - left) / width}
            sides |= {"height": (bottom - top) / height}
            value = {name: side * 100 for name, side in sides.items()}
            return "rectanglelabels", "rectangle", value | {"rotation": 0, "rectanglelabels": labels}
        case Polygon(points):
            corners = [[point.x / width * 100, point.y / height * 100] for point in points]
            return "polygonlabels", "polygon", {"points": corners, "closed": True, "polygonlabels": labels}
        case Circle(center, radius):
            value = {"x": center.x / width, "y": center.y / height, "radiusX": radius / width}
            value = {name: number * 100 for name, number in (value | {"radiusY": radius / height}).items()}
            return "ellipselabels", "ellipse", value | {"rotation": 0, "ellipselabels": labels}
        case Point(position):
            value = {"x": position.x / width * 100, "y": position.y / height * 100, "width": 0.5}
            return "keypointlabels", "keypoint", value | {"keypointlabels": labels}


def _configuration(facts: DatasetFacts) -> Iterator[str]:
    controls = () if facts.type == "IMAGE_CLASSIFICATION" else CONTROLS
    yield from configuration([(label.name, label.color) for label in facts.labels], controls, choice="multiple")


def configuration(
    labels: Sequence[tuple[str, str | None]], controls: Sequence[str], *, choice: str | None
) -> Iterator[str]:
    """The lines of a project's configuration, with these labels and their colours: `controls` draw shapes, `choice`
    says whether an image has a `single` label or `multiple`; None: it has shapes only."""
    yield "<View>"
    yield '  <Image name="image" value="$image"/>'
    for control in controls:
        yield f'  <{control} name="{control.removesuffix("Labels").lower()}" toName="image">'
        for name, color in labels:
            background = "" if color is None else f' background="{color}"'
            yield f"    <Label value={quoteattr(xml_text(name, escaped=False))}{background}/>"
        yield f"  </{control}>"
    if choice is not None:
        yield f'  <Choices name="choice" toName="image" choice="{choice}">'
        for name, _ in labels:
            yield f"    <Choice value={quoteattr(xml_text(name, escaped=False))}/>"
        yield "  </Choices>"
    yield "</View>"
    yield ""
