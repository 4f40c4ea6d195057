"""What a file says of an image, whatever its format: labels, their shapes, and who put them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import PlainSerializer, PlainValidator

from db.formats.shapes import Shape, from_json, to_json

StorableShape = Annotated[Shape, PlainSerializer(to_json), PlainValidator(from_json)]  # as JSON, if it is kept
ATTRIBUTES: Final = ("difficult", "truncated", "occluded", "pose")
FACTS: Final = (
    *ATTRIBUTES,
    "confidence",
    "labeled_by",
    "labeled_at",
)  # of an annotation, without label and shape


@dataclass(frozen=True, slots=True)
class Author:
    """Who put a label, and when; without a time, when it is written. Not `confirmed`: a machine put it, and nobody
    agreed. Not `is_said`: the file names nobody, and whoever reads it put the name."""

    by: str
    at: datetime | None = None
    confirmed: bool = True
    is_said: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a VOC file says of an object in addition to its shape. `pose` None: unspecified. `said`: which of them the
    file says, in addition to those that are not the default; of the others it says nothing."""

    difficult: bool = False
    truncated: bool = False
    occluded: bool = False
    pose: str | None = None
    said: frozenset[str] = field(default=frozenset(), compare=False)

    def over(self, before: Self) -> Self:
        """As they are on an annotation that had others before, of which those stay that are not said."""
        values = ((name, getattr(self, name)) for name in ATTRIBUTES)
        return replace(before, **{name: value for name, value in values if value or name in self.said})

    def to_json(self) -> dict[str, Any] | None:
        """As it is stored: only what differs from the default. None: nothing does."""
        values = ((name, getattr(self, name)) for name in ATTRIBUTES)
        return {name: value for name, value in values if value} or None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Attributes":
        return cls(**(stored or {}))


@dataclass(frozen=True, slots=True)
class ParsedAnnotation:
    """A label on an image. Without a shape it is for the whole image.

    `author` None: whoever brings the file. `color` and `shortcut` are those of the label. `line`: its line in the file.
    `model`: name and version of the one that suggested it; no file that is read says it.
    """

    label: str
    shape: StorableShape | None = None
    confidence: float | None = None
    attributes: Attributes = Attributes()
    line: int = field(default=0, compare=False)
    author: Author | None = None
    color: str | None = None
    shortcut: str | None = None
    model: tuple[str, str] | None = field(default=None, compare=False)

    def facts(self) -> Iterator[str]:
        """Those of FACTS that are known of it."""
        yield from self.attributes.to_json() or ()
        if self.confidence is not None:
            yield "confidence"
        if self.author is not None:
            yield "labeled_by"
            if self.author.at is not None:
                yield "labeled_at"
