"""Sidecars: the file next to an image, of its stem, that says what is on it. Pure functions over bytes.

`.txt` names an image's labels; PASCAL VOC's `.xml` names labels with their shapes. A dataset reads one kind, by its
type, and does not see the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from db.formats.names import LabelNameRule
from db.formats.sidecars import text, voc
from db.formats.sidecars.content import Problem, Sidecar

__all__ = ["VOC", "Problem", "Sidecar", "format_of"]


@dataclass(frozen=True, slots=True)
class Format:
    """`parse` takes a file's bytes, up to one more than `max_bytes` of them, and the dataset's rule for label names. It
    never fails: it finds problems."""

    suffix: str
    max_bytes: int
    parse: Callable[[bytes, LabelNameRule], Sidecar]


TEXT: Final = Format(".txt", text.MAX_BYTES, text.parse)
VOC: Final = Format(".xml", voc.MAX_BYTES, voc.parse)


def format_of(kind: str) -> Format:
    """What the sidecars of a dataset of this type are."""
    return TEXT if kind == "IMAGE_CLASSIFICATION" else VOC
