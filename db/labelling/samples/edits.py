"""What is asked of samples' annotations, and what it comes to: plain values, decided before anything is written.

An annotation is the same as another of its sample when label and shape are: so a shape that is added again, by a retry
or by a second annotator, is there already. A whole image has a label once; shapes of one label may be any number.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from db.errors import Invalid, NotFound
from db.formats import names, shapes
from db.formats.shapes import Shape

MOST: Final = 100_000  # annotations that one call names
MOST_OF_SAMPLE: Final = 10_000  # annotations that a sample can get through calls; a sidecar can bring as many
TOLD: Final = 100  # ids that an error names

Key = tuple[int, int, str | None]


@dataclass(frozen=True, slots=True)
class Addition:
    """Without a shape, the label is put on the whole image."""

    label: str
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """What is None stays. Whatever a person touches is confirmed."""

    id: int
    label: str | None = None
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to become of one sample's annotations."""

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
class Fact:
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
class Intents:
    """The edits of samples that were found, with labels as ids and shapes as checked text."""

    add: dict[Key, Fact] = field(default_factory=dict)
    update: dict[int, tuple[int, int | None, str | None]] = field(default_factory=dict)  # sample, label, shape
    remove: dict[int, int] = field(default_factory=dict)  # sample


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written: new annotations, those that are there as they are to be, and those that go."""

    put: Sequence[Fact]
    turn: Sequence[Fact]
    take: Mapping[int, int]  # sample by annotation

    def samples(self) -> tuple[int, ...]:
        """Those that change, ascending."""
        return tuple(sorted({each.sample for each in (*self.put, *self.turn)} | set(self.take.values())))

    def growing(self) -> dict[int, int]:
        """By how many annotations each sample grows, where it does."""
        net = Counter(each.sample for each in self.put)
        net.subtract(self.take.values())
        return {sample: more for sample, more in net.items() if more > 0}


def intents(edits: Sequence[Edit], ids: Mapping[str, int], images: Mapping[int, Image]) -> Intents:
    """Raises Invalid for a shape that cannot be, and for an annotation that is to become two things."""
    found = Intents()
    for place, edit in enumerate(edits):
        if edit.sample in images:
            _gather(found, edit, ids, images[edit.sample], f"samples.{place}")
    twice = sorted(found.update.keys() & found.remove.keys())
    if twice:
        raise Invalid("An annotation is either updated or removed, not both.", ids=_told(twice))
    return found


def _gather(found: Intents, edit: Edit, ids: Mapping[str, int], image: Image, place: str) -> None:
    for at, new in enumerate(edit.add):
        fact = Fact(edit.sample, ids[new.label], _text(new.shape, image, edit.sample, f"{place}.add.{at}"))
        found.add[fact.key] = fact
    for at, one in enumerate(edit.update):
        if one.id in found.update:
            raise Invalid("An annotation is updated once in a call; this one is twice.", ids=_told([one.id]))
        label = None if one.label is None else ids[one.label]
        shape = _text(one.shape, image, edit.sample, f"{place}.update.{at}")
        found.update[one.id] = edit.sample, label, shape
    for id in edit.remove:
        if found.remove.setdefault(id, edit.sample) != edit.sample:
            raise no_such_annotations(_told([id]))


def _text(shape: Shape | None, image: Image, sample: int, place: str) -> str | None:
    """A shape as it is stored; `place` is where it stands in the input."""
    if shape is None:
        return None
    try:
        return _written(shapes.to_json(_possible(shape, image)))
    except Invalid as refused:
        refused.details |= {"sample": f"Sample:{sample}", "at": f"{place}.shape"}
        raise


def _possible(shape: Shape, image: Image) -> Shape:
    if image.width is None or image.height is None:
        raise Invalid("The size of this image is not known, so no shape can be told to lie on it; sync the dataset.")
    return shapes.validated(shape, kind=image.kind, width=image.width, height=image.height)


def expect_there(asked: Intents, rows: Mapping[int, Fact], gone: Mapping[int, int]) -> None:
    """Every named annotation is one of the sample it is named under. One to be removed may be removed already."""
    there = {id: fact.sample for id, fact in rows.items()}
    wrong = [id for id, (sample, _, _) in asked.update.items() if there.get(id) != sample]
    wrong += [id for id, sample in asked.remove.items() if there.get(id, gone.get(id)) != sample]
    if wrong:
        raise no_such_annotations(_told(wrong))


def finals(asked: Intents, rows: Mapping[int, Fact]) -> list[Fact]:
    """The updated annotations as they are to be."""
    found = []
    for id, (sample, label, shape) in asked.update.items():
        row = rows[id]
        found.append(Fact(sample, row.label if label is None else label, row.shape if shape is None else shape, id))
    whole = Counter(fact.key for fact in found if fact.shape is None)
    double = [fact.id for fact in found if whole[fact.key] > 1]
    if double:
        raise Invalid("These would become one: a whole image has a label once. Remove all but one.", ids=_told(double))
    return found


def is_other(fact: Fact, row: Fact) -> bool:
    """Whether an update changes anything."""
    return not row.confirmed or fact.key != row.key


def canonical(shape: str | None) -> str | None:
    """A stored shape as this module writes it; Postgres has another order of keys."""
    return None if shape is None else _written(orjson.loads(shape))


def _written(shape: Mapping[str, Any]) -> str:
    return orjson.dumps(shape, option=orjson.OPT_SORT_KEYS).decode()


def renumbered(facts: Iterable[Fact], made: Mapping[int, int]) -> list[Fact]:
    """With the ids of labels that had none yet."""
    return [replace(fact, label=made.get(fact.label, fact.label)) for fact in facts]


def no_such_annotations(ids: Sequence[str]) -> NotFound:
    return NotFound(
        "The sample has no such annotation; list them with `annotations { id }`.",
        ids=[names.excerpt(id) for id in dict.fromkeys(ids)],
    )


def _told(ids: Sequence[int]) -> list[str]:
    return [f"Annotation:{id}" for id in ids[:TOLD]]
