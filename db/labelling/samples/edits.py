"""Edits of samples' annotations, and their results: plain values, decided before anything is written.

An annotation is the same as another of its sample when label and shape are: so a shape that is added again, by a retry
or by a second annotator, exists already. A whole image has a label once; shapes of one label may be any number.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from db.errors import Invalid, NotFound
from db.formats import names, shapes
from db.formats.shapes import Shape

MAX_REPORTED: Final = 100  # ids that an error names

Key = tuple[int, int, str | None]


@dataclass(frozen=True, slots=True)
class Addition:
    """Without a shape, the label is put on the whole image."""

    label: str
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """What is None stays. An updated annotation is confirmed."""

    id: int
    label: str | None = None
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """What to do with one sample's annotations."""

    sample: int
    add: Sequence[Addition] = ()
    update: Sequence[Update] = ()
    remove: Sequence[int] = ()

    def names(self) -> Iterator[str]:
        yield from (each.label for each in self.add)
        yield from (each.label for each in self.update if each.label is not None)


@dataclass(frozen=True, slots=True)
class Image:
    """What decides which shapes a sample can have. The size is None where nobody could read it."""

    kind: str
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class AnnotationRow:
    """An annotation as it is, or is to be; `shape` is JSON text, None the whole image. A new one has no id yet."""

    sample: int
    label: int
    shape: str | None
    id: int = 0
    confirmed: bool = True

    @property
    def key(self) -> Key:
        return self.sample, self.label, self.shape


@dataclass(slots=True)
class CheckedEdits:
    """The edits of samples that were found, with labels as ids and shapes as checked text."""

    add: dict[Key, AnnotationRow] = field(default_factory=dict)
    update: dict[int, tuple[int, int | None, str | None]] = field(default_factory=dict)  # sample, label, shape
    remove: dict[int, int] = field(default_factory=dict)  # sample

    def include(self, edit: Edit, ids: Mapping[str, int], image: Image, path: str) -> None:
        """`path`: of the edit in the input."""
        for index, new in enumerate(edit.add):
            shape = _checked(new.shape, image, edit.sample, f"{path}.add.{index}")
            row = AnnotationRow(edit.sample, ids[new.label], shape)
            self.add[row.key] = row
        for index, one in enumerate(edit.update):
            if one.id in self.update:
                raise Invalid("An annotation is updated once in a call; this one is twice.", ids=_global([one.id]))
            label = None if one.label is None else ids[one.label]
            shape = _checked(one.shape, image, edit.sample, f"{path}.update.{index}")
            self.update[one.id] = edit.sample, label, shape
        for id in edit.remove:
            if self.remove.setdefault(id, edit.sample) != edit.sample:
                raise no_such_annotations(_global([id]))

    def expect_existing(self, rows: Mapping[int, AnnotationRow], removed_before: Mapping[int, int]) -> None:
        """Every named annotation is one of the sample it is named under. One to be removed may be removed already."""
        samples = {id: row.sample for id, row in rows.items()}
        wrong = [id for id, (sample, _, _) in self.update.items() if samples.get(id) != sample]
        wrong += [id for id, sample in self.remove.items() if samples.get(id, removed_before.get(id)) != sample]
        if wrong:
            raise no_such_annotations(_global(wrong))

    def updated(self, rows: Mapping[int, AnnotationRow]) -> list[AnnotationRow]:
        """The updated annotations as they are to be."""
        updated = []
        for id, (sample, label, shape) in self.update.items():
            row = rows[id]
            label, shape = row.label if label is None else label, row.shape if shape is None else shape
            updated.append(AnnotationRow(sample, label, shape, id))
        whole = Counter(row.key for row in updated if row.shape is None)
        equal = [row.id for row in updated if whole[row.key] > 1]
        if equal:
            message = "These would become one: a whole image has a label once. Remove all but one."
            raise Invalid(message, ids=_global(equal))
        return updated


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written. `update`: annotations that exist, as they are to be; `delete`: samples by annotations."""

    insert: Sequence[AnnotationRow]
    update: Sequence[AnnotationRow]
    delete: Mapping[int, int]

    def samples(self) -> tuple[int, ...]:
        """Those that change, ascending."""
        return tuple(sorted({row.sample for row in (*self.insert, *self.update)} | set(self.delete.values())))

    def growth(self) -> dict[int, int]:
        """By how many annotations each sample grows, where it does."""
        net = Counter(row.sample for row in self.insert)
        net.subtract(self.delete.values())
        return {sample: more for sample, more in net.items() if more > 0}


def check(edits: Sequence[Edit], ids: Mapping[str, int], images: Mapping[int, Image]) -> CheckedEdits:
    """Raises Invalid for a shape that cannot be, and for an annotation that is to become two things."""
    checked = CheckedEdits()
    for index, edit in enumerate(edits):
        if edit.sample in images:
            checked.include(edit, ids, images[edit.sample], f"samples.{index}")
    twice = sorted(checked.update.keys() & checked.remove.keys())
    if twice:
        raise Invalid("An annotation is either updated or removed, not both.", ids=_global(twice))
    return checked


def canonical(shape: str | None) -> str | None:
    """A stored shape as this module writes it; Postgres has another order of keys."""
    return None if shape is None else _json(orjson.loads(shape))


def no_such_annotations(ids: Sequence[str]) -> NotFound:
    return NotFound(
        "The sample has no such annotation; list them with `annotations { id }`.",
        ids=[names.excerpt(id) for id in dict.fromkeys(ids)],
    )


def _checked(shape: Shape | None, image: Image, sample: int, path: str) -> str | None:
    """A shape as it is stored. `path`: in the input."""
    if shape is None:
        return None
    try:
        if image.width is None or image.height is None:
            raise Invalid(
                "The size of this image is not known, so no shape can be told to lie on it; sync the dataset."
            )
        return _json(shapes.to_json(shapes.validated(shape, kind=image.kind, width=image.width, height=image.height)))
    except Invalid as refused:
        refused.details |= {"sample": f"Sample:{sample}", "at": f"{path}.shape"}
        raise


def _json(shape: Mapping[str, Any]) -> str:
    return orjson.dumps(shape, option=orjson.OPT_SORT_KEYS).decode()


def _global(ids: Sequence[int]) -> list[str]:
    return [f"Annotation:{id}" for id in ids[:MAX_REPORTED]]
