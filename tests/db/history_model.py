"""A dataset's history as plain Python: every state is kept whole, undoing and comparing are arithmetic on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple


class Annotation(NamedTuple):
    """A label on a sample; `stamp` counts the operation that put it there. `left`, a box's edge, is its shape."""

    sample: int
    label: int
    stamp: int
    left: int | None = None


@dataclass(frozen=True)
class State:
    """Names by label, and annotations by a number that stays with them while their label is turned into another."""

    labels: Mapping[int, str] = field(default_factory=dict)
    samples: frozenset[int] = frozenset()
    annotations: Mapping[int, Annotation] = field(default_factory=dict)

    def facts(self) -> dict[tuple[str, int], object]:
        found: dict[tuple[str, int], object] = {("label", id): name for id, name in self.labels.items()}
        found |= {("sample", id): True for id in self.samples}
        return found | {("annotation", token): annotation for token, annotation in self.annotations.items()}

    @staticmethod
    def of(facts: Mapping[tuple[str, int], object]) -> "State":
        def of_kind(kind: str) -> dict[int, object]:
            return {id: value for (name, id), value in facts.items() if name == kind}

        return State(of_kind("label"), frozenset(of_kind("sample")), of_kind("annotation"))  # type: ignore[arg-type]

    @property
    def is_sound(self) -> bool:
        pairs = [(annotation.sample, annotation.label) for annotation in self.annotations.values()]
        whole = [
            (annotation.sample, annotation.label) for annotation in self.annotations.values() if annotation.left is None
        ]
        names = list(self.labels.values())
        return (
            len(set(whole)) == len(whole)
            and len(set(names)) == len(names)
            and all(sample in self.samples and label in self.labels for sample, label in pairs)
        )

    def labels_on(self, sample: int) -> set[int]:
        return {annotation.label for annotation in self.annotations.values() if annotation.sample == sample}

    def label_names(self) -> dict[int, list[str]]:
        """Label names by sample, in the order in which the labels were made."""
        return {sample: [self.labels[label] for label in sorted(self.labels_on(sample))] for sample in self.samples}

    def edges(self) -> dict[int, list[tuple[str, int]]]:
        """Label names and left edges (0 for the whole image) of every annotation, by sample."""
        return {
            sample: sorted(
                (self.labels[annotation.label], annotation.left or 0)
                for annotation in self.annotations.values()
                if annotation.sample == sample
            )
            for sample in self.samples
        }

    def counts(self) -> list[tuple[int, str, int, int]]:
        """Of every label how many samples and how many annotations have it."""
        annotations = self.annotations.values()
        return [
            (
                label,
                name,
                len({m.sample for m in annotations if m.label == label}),
                sum(m.label == label for m in annotations),
            )
            for label, name in sorted(self.labels.items())
        ]

    def without_samples(self, gone: set[int]) -> "State":
        annotations = {
            token: annotation for token, annotation in self.annotations.items() if annotation.sample not in gone
        }
        return replace(self, samples=self.samples - gone, annotations=annotations)

    def without_labels(self, gone: set[int]) -> "State":
        labels = {id: name for id, name in self.labels.items() if id not in gone}
        annotations = {
            token: annotation for token, annotation in self.annotations.items() if annotation.label not in gone
        }
        return replace(self, labels=labels, annotations=annotations)

    def merged(self, before: int, after: int) -> "State":
        """Marks are turned, but a whole image has the other label once: then it goes."""
        annotations = {}
        for token, annotation in self.annotations.items():
            if annotation.label != before:
                annotations[token] = annotation
            elif annotation.left is not None or after not in self.labels_on(annotation.sample):
                annotations[token] = annotation._replace(label=after)
        return replace(self, labels={i: n for i, n in self.labels.items() if i != before}, annotations=annotations)

    def undone(self, before: "State", after: "State") -> "State | None":
        """This state without what led from `before` to `after`; None where that is not so any more."""
        old, new, now = before.facts(), after.facts(), self.facts()
        touched = [fact for fact in old.keys() | new.keys() if old.get(fact) != new.get(fact)]
        if any(now.get(fact) != new.get(fact) for fact in touched):
            return None
        for fact in touched:
            now.pop(fact, None)
            if fact in old:
                now[fact] = old[fact]
        result = State.of(now)
        return result if result.is_sound else None

    def compared(self, head: "State") -> dict[int, tuple[str, list[str], list[str]]]:
        """By sample: what became of it, the labels it won and those it lost."""
        found = {}
        for sample in self.samples | head.samples:
            was, became = self.labels_on(sample), head.labels_on(sample)
            kind = "ADDED" if sample not in self.samples else "REMOVED" if sample not in head.samples else "RELABELED"
            if kind != "RELABELED" or was != became:
                won = [head.labels[label] for label in sorted(became - was)]
                found[sample] = (kind, won, [self.labels[label] for label in sorted(was - became)])
        return found


@dataclass
class Change:
    id: str
    before: State
    after: State
    left: tuple[str | None, bool] | None = None  # of a switch: the version before it, and whether it was clean


@dataclass
class PublishedVersion:
    name: str
    state: State
    parent: str | None
    revision: int


@dataclass
class HistoryModel:
    state: State = field(default_factory=State)
    revision: int = 1
    current: str | None = None
    clean_at: int = 0
