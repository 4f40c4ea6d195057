"""A manifest's lines, and the label files that they point to. Pure: equal samples make equal bytes.

A classification's labels are in the line. Shapes are in PASCAL VOC files, one to an image, more where it would be
larger than readers take; what VOC cannot express is in the line's `property`: who labelled which object, if they were
several, and the colours of labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from db.formats import shapes
from db.formats.annotations import Attributes, ParsedAnnotation
from db.formats.sidecars import voc
from db.formats.timestamps import clamped

TYPES: Final = {
    "IMAGE_CLASSIFICATION": "modelarts/image_classification",
    "OBJECT_DETECTION": "modelarts/object_detection",
    "IMAGE_SEGMENTATION": "modelarts/image_segmentation",
}
COLOR, SHORTCUT = "@modelarts:color", "@modelarts:shortcut"
OBJECTS: Final = "@labelgraph:objects"  # who labelled each object of a label file, and when
LABELS: Final = "@labelgraph:labels"  # colours and shortcuts of the labels in a label file
STEM: Final = 180  # bytes of an image's name that its label file's name begins with


Sample = Mapping[str, Any]  # id, path, usage, hard, width, height, annotations: their rows with those of their labels


@dataclass(frozen=True, slots=True)
class Style:
    """Of all lines of a manifest: the dataset's type, name and input path, and where its label files lie."""

    kind: str
    dataset: str
    input_path: str
    files: str = ""  # ends with a slash

    def line(self, sample: Sample) -> bytes:
        """One sample of the version."""
        entry: dict[str, Any] = {"id": str(sample["id"]), "source": f"{self.input_path.rstrip('/')}/{sample['path']}"}
        if sample["usage"] is not None:
            entry["usage"] = sample["usage"]
        entry["sample-type"] = 0
        if sample["hard"]:
            entry["hard"] = "true"
        elif any(_attributes(row).difficult for row in sample["annotations"]):
            entry["hard"] = "false"  # else a difficult object would make it one
        entry["annotation"] = list(self._annotations(sample))
        return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)

    def label_files(self, sample: Sample) -> list[tuple[str, bytes]]:
        """The names and contents of a sample's label files; none where it has no shapes."""
        return [(self._name(sample, number), data) for number, (_, data) in enumerate(self._files(sample))]

    def _annotations(self, sample: Sample) -> Iterator[dict[str, Any]]:
        for row in sample["annotations"]:
            if row["shape"] is None:
                details = {COLOR: row["color"], SHORTCUT: row["shortcut"]}
                yield {
                    "id": str(row["id"]),
                    "type": TYPES[self.kind],
                    "name": row["name"],
                    "property": {name: value for name, value in details.items() if value is not None},
                    **_author(row),
                    **({} if row["confidence"] is None else {"confidence": row["confidence"]}),
                }
        if self.kind != "IMAGE_CLASSIFICATION":
            for number, (drawn, _) in enumerate(self._files(sample)):
                yield self._reference(drawn, f"{self.files}{self._name(sample, number)}")

    def _reference(self, drawn: Sequence[Mapping[str, Any]], location: str) -> dict[str, Any]:
        """To a label file. The authors of single objects are there only where they differ."""
        authors = [_author(row) for row in drawn]
        styles = {
            row["name"]: {name: row[name] for name in ("color", "shortcut") if row[name] is not None} for row in drawn
        }
        labels = {name: style for name, style in styles.items() if style}
        details: dict[str, Any] = {LABELS: labels} if labels else {}
        if any(author != authors[0] for author in authors):
            details[OBJECTS] = authors
        return {
            "id": str(drawn[0]["id"]),
            "type": TYPES[self.kind],
            "annotation-loc": location,
            "annotation-format": "PASCAL VOC",
            "property": details,
            **authors[0],
        }

    def _files(self, sample: Sample) -> list[tuple[list[Mapping[str, Any]], bytes]]:
        drawn = [row for row in sample["annotations"] if row["shape"] is not None]
        return self._split(sample, drawn) if drawn else []

    def _split(self, sample: Sample, drawn: list[Mapping[str, Any]]) -> list[tuple[list[Mapping[str, Any]], bytes]]:
        data = voc.write(
            [
                ParsedAnnotation(
                    row["name"], shapes.from_json(orjson.loads(row["shape"])), row["confidence"], _attributes(row)
                )
                for row in drawn
            ],
            folder=self.dataset,
            file_name=sample["path"].rpartition("/")[2],
            size=(sample["width"] or 0, sample["height"] or 0),
            segmented=self.kind == "IMAGE_SEGMENTATION",
        )
        if len(drawn) == 1 or (len(data) <= voc.MAX_BYTES and len(drawn) <= voc.MAX_OBJECTS):
            return [(drawn, data)]
        half = len(drawn) // 2
        return self._split(sample, drawn[:half]) + self._split(sample, drawn[half:])

    def _name(self, sample: Sample, number: int) -> str:
        """Images of one name may lie in several folders, or differ by their suffix; ids differ always."""
        front = sample["path"].rpartition("/")[2].rpartition(".")[0].encode()[:STEM].decode(errors="ignore")
        return f"{front}_{sample['id']}{f'-{number + 1}' if number else ''}.xml"


def _author(row: Mapping[str, Any]) -> dict[str, str]:
    """A suggestion that nobody confirmed is by a model, whoever brought it."""
    who = "human" if row["confirmed"] else "model"
    by, at = row["labeled_by"], clamped(row["labeled_at"])
    return {"annotated-by": f"{who}/{by}/{by}", "creation-time": f"{at:%Y-%m-%d %H:%M:%S}"}


def _attributes(row: Mapping[str, Any]) -> Attributes:
    return Attributes.from_json(orjson.loads(row["attributes"] or "null"))
