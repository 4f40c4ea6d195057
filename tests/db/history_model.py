"""A dataset's history as plain Python: every state is kept whole, undoing and comparing are arithmetic on them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple


class Annotation(NamedTuple):
    """A label on a sample; `stamp` counts the operation that put it there. `left`, a box's edge, is its shape. `model`:
    that suggested it so. A suggestion is not `confirmed`."""

    sample: int
    label: int
    stamp: int
    left: int | None = None
    model: str | None = None
    confidence: float | None = None
    confirmed: bool = True


class Verdict(NamedTuple):
    """What came of a suggestion of a model."""

    sample: int
    label: int
    model: str
    outcome: str


@dataclass(frozen=True)
class State:
    """Names by label, and annotations by a number that stays with them while their label is turned into another.
    Verdicts have the number of the suggestion."""

    labels: Mapping[int, str] = field(default_factory=dict)
    samples: frozenset[int] = frozenset()
    annotations: Mapping[int, Annotation] = field(default_factory=dict)
    verdicts: Mapping[int, Verdict] = field(default_factory=dict)

    def facts(self) -> dict[tuple[str, int], object]:
        found: dict[tuple[str, int], object] = {("label", id): name for id, name in self.labels.items()}
        found |= {("sample", id): True for id in self.samples}
        found |= {("annotation", token): annotation for token, annotation in self.annotations.items()}
        return found | {("verdict", token): verdict for token, verdict in self.verdicts.items()}

    @staticmethod
    def of(facts: Mapping[tuple[str, int], object]) -> "State":
        def of_kind(kind: str) -> dict[int, object]:
            return {id: value for (name, id), value in facts.items() if name == kind}

        return State(
            of_kind("label"),  # type: ignore[arg-type]
            frozenset(of_kind("sample")),
            of_kind("annotation"),  # type: ignore[arg-type]
            of_kind("verdict"),  # type: ignore[arg-type]
        )

    @property
    def is_sound(self) -> bool:
        """A whole image has a label once, or it is suggested, by each model once."""
        facts: list[Annotation | Verdict] = [*self.annotations.values(), *self.verdicts.values()]
        confirmed = {(each.sample, each.label) for each in self.annotations.values() if each.confirmed}
        whole = Counter(
            (each.sample, each.label, None if (each.sample, each.label) in confirmed else each.model)
            for each in self.annotations.values()
            if each.left is None
        )
        names = list(self.labels.values())
        return (
            all(times == 1 for times in whole.values())
            and len(set(names)) == len(names)
            and all(each.sample in self.samples and each.label in self.labels for each in facts)
        )

    def labels_on(self, sample: int) -> set[int]:
        return {each.label for each in self.annotations.values() if each.sample == sample and each.confirmed}

    def suggested_on(self, sample: int) -> set[int]:
        return {each.label for each in self.annotations.values() if each.sample == sample and not each.confirmed}

    def sample_state(self, sample: int) -> str:
        return "LABELED" if self.labels_on(sample) else "PENDING" if self.suggested_on(sample) else "UNLABELED"

    def label_names(self) -> dict[int, list[str]]:
        """Label names by sample, in the order in which the labels were made."""
        return {sample: [self.labels[label] for label in sorted(self.labels_on(sample))] for sample in self.samples}

    def drawn(self) -> dict[int, list[tuple[str, int, bool, str]]]:
        """Of every annotation, by sample: label, left edge (0 for the whole image), whether it is confirmed, model."""
        return {
            sample: sorted(
                (self.labels[each.label], each.left or 0, each.confirmed, each.model or "")
                for each in self.on(sample).values()
            )
            for sample in self.samples
        }

    def counts(self) -> list[tuple[int, str, int, int, int]]:
        """Of every label how many samples and how many annotations have it, and how often it is suggested."""
        found = []
        for label, name in sorted(self.labels.items()):
            annotations = [each for each in self.annotations.values() if each.label == label]
            confirmed = [each for each in annotations if each.confirmed]
            numbers = len({each.sample for each in confirmed}), len(confirmed), len(annotations) - len(confirmed)
            found.append((label, name, *numbers))
        return found

    def without_samples(self, gone: set[int]) -> "State":
        return self._only(lambda fact: fact.sample not in gone, samples=self.samples - gone)

    def without_labels(self, gone: set[int]) -> "State":
        labels = {id: name for id, name in self.labels.items() if id not in gone}
        return self._only(lambda fact: fact.label not in gone, labels=labels)

    def _only(self, stays: Callable[[Annotation | Verdict], bool], **others: object) -> "State":
        annotations = {token: each for token, each in self.annotations.items() if stays(each)}
        verdicts = {token: each for token, each in self.verdicts.items() if stays(each)}
        return replace(self, annotations=annotations, verdicts=verdicts, **others)  # type: ignore[arg-type]

    def merged(self, before: int, after: int) -> "State":
        """Marks are turned, but a whole image has the other label once: then it goes."""
        labels = {id: name for id, name in self.labels.items() if id != before}
        state = replace(self, labels=labels)
        for token, verdict in self.verdicts.items():
            if verdict.label == before:
                state = replace(state, verdicts={**state.verdicts, token: verdict._replace(label=after)})
        for token, annotation in self.annotations.items():
            if annotation.label != before:
                continue
            if annotation.left is not None:
                state = state.put(token, annotation._replace(label=after))
                continue
            others = {each: one for each, one in self.on(annotation.sample, after).items() if each in state.annotations}
            rival = next((each for each, other in others.items() if _rivals(annotation, other)), None)
            if rival is None:
                state = state.put(token, annotation._replace(label=after))
            elif annotation.confirmed and not others[rival].confirmed:
                state = state.without(rival).put(token, annotation._replace(label=after))
            elif annotation.confirmed and annotation.model is not None:
                verdict = Verdict(annotation.sample, after, annotation.model, "ACCEPTED")
                state = replace(state.without(token), verdicts={**state.verdicts, token: verdict})
            else:
                state = state.without(token)
        for sample in self.samples:
            state = state.settled(sample)
        return state

    # -- suggestions --------------------------------------------------------------------------------------------------

    def on(self, sample: int, label: int | None = None) -> dict[int, Annotation]:
        """The annotations of a sample, of a label if one is given, by their numbers."""
        return {
            token: each
            for token, each in self.annotations.items()
            if each.sample == sample and label in (None, each.label)
        }

    def put(self, token: int, annotation: Annotation) -> "State":
        return replace(self, annotations={**self.annotations, token: annotation})

    def without(self, token: int) -> "State":
        return replace(self, annotations={each: one for each, one in self.annotations.items() if each != token})

    def judged(self, token: int, outcome: str) -> "State":
        """With a verdict, if a model suggested this annotation; it is still there."""
        annotation = self.annotations[token]
        if annotation.model is None:
            return self
        verdict = Verdict(annotation.sample, annotation.label, annotation.model, outcome)
        return replace(self, verdicts={**self.verdicts, token: verdict})

    def settled(self, sample: int) -> "State":
        """Suggestions of what is confirmed were right."""
        state, labels = self, self.labels_on(sample)
        for token, each in self.on(sample).items():
            if not each.confirmed and each.model is not None and each.label in labels:
                state = state.judged(token, "ACCEPTED").without(token)
        return state

    def taken_back(self, sample: int, outcome: str) -> "State":
        """What is confirmed no more was not right."""
        labels = self.labels_on(sample)
        verdicts = {
            token: each._replace(outcome=outcome)
            if each.sample == sample and each.outcome == "ACCEPTED" and each.label not in labels
            else each
            for token, each in self.verdicts.items()
        }
        return replace(self, verdicts=verdicts)

    def confirmed(self, sample: int, stamp: int, is_meant: Callable[[Annotation], bool]) -> "State":
        """Of the suggestions that are meant, one of each label is confirmed: rather one without a model."""
        state = self
        for label in {each.label for each in self.on(sample).values() if not each.confirmed and is_meant(each)}:
            waiting = {token: each for token, each in self.on(sample, label).items() if not each.confirmed}
            token = min(
                waiting,
                key=lambda token: (
                    waiting[token].model is not None,
                    not is_meant(waiting[token]),
                    -(waiting[token].confidence or 0),
                    token,
                ),
            )
            state = state.put(token, waiting[token]._replace(confirmed=True, stamp=stamp))
        return state.settled(sample)

    def labelled(self, sample: int, labels: set[int], mode: str, tokens: Iterator[int], stamp: int) -> "State":
        has, suggested = self.labels_on(sample), self.suggested_on(sample)
        is_so = {
            "ADD": has >= labels,
            "SET": has == labels and not suggested,
            "REMOVE": not (has | suggested) & labels,
        }
        if sample not in self.samples or is_so[mode]:
            return self
        state, outcome = self, "CORRECTED" if mode == "SET" and labels else "REJECTED"
        for token, each in self.on(sample).items():
            if mode != "ADD" and (each.label in labels) == (mode == "REMOVE"):
                state = state.judged(token, outcome).without(token)
        if mode != "ADD":
            state = state.taken_back(sample, outcome)
        if mode != "REMOVE":
            state = state.confirmed(sample, stamp, lambda each: each.label in labels)
            for label in sorted(labels):
                if not state.on(sample, label):
                    state = state.put(next(tokens), Annotation(sample, label, stamp))
        return state

    def replaced(self, sample: int, before: int, after: int, stamp: int) -> "State":
        """On a whole image, by a person, who corrects the model that suggested the label that goes."""
        if before not in self.labels_on(sample) or before == after:
            return self
        [token] = self.on(sample, before)
        state = self.judged(token, "CORRECTED").without(token)
        if after not in self.labels_on(sample):
            for other, each in self.on(sample, after).items():
                state = state if each.model is not None else state.without(other)
            state = state.put(token, Annotation(sample, after, stamp))
        return state.settled(sample).taken_back(sample, "CORRECTED")

    def updated(self, token: int, label: int | None, stamp: int) -> "State":
        """An annotation of a whole image is relabelled, or confirmed as it is."""
        was = self.annotations[token]
        becomes = was.label if label is None else label
        if was.confirmed and becomes == was.label:
            return self
        state = self if becomes == was.label else self.judged(token, "CORRECTED")
        for other, each in self.on(was.sample, becomes).items():
            if other != token and (each.confirmed or each.model is None):
                state = state.judged(other, "ACCEPTED").without(other)
        kept = was._replace(stamp=stamp, confirmed=True)
        if becomes != was.label:
            kept = Annotation(was.sample, becomes, stamp)
        return state.put(token, kept).settled(was.sample).taken_back(was.sample, "REJECTED")

    def removed(self, token: int) -> "State":
        sample = self.annotations[token].sample
        return self.judged(token, "REJECTED").without(token).taken_back(sample, "REJECTED")

    def suggested(
        self, sample: int, given: Mapping[int, float], model: str, tokens: Iterator[int], stamp: int, *, alone: bool
    ) -> "State":
        """`model`: its name and version, with a space between. `alone`: what it suggested before goes."""
        if sample not in self.samples:
            return self
        state, staying = self, set()
        refused = {
            each.label
            for each in self.verdicts.values()
            if (each.sample, each.model) == (sample, model) and each.outcome != "ACCEPTED"
        }
        for label, confidence in given.items():
            if label in self.labels_on(sample) | refused:
                continue
            waiting = [
                token for token, each in self.on(sample, label).items() if not each.confirmed and each.model == model
            ]
            if not waiting:
                token = next(tokens)
                state = state.put(token, Annotation(sample, label, stamp, None, model, confidence, confirmed=False))
                staying.add(token)
                continue
            staying.add(waiting[0])
            if self.annotations[waiting[0]].confidence != confidence:
                again = self.annotations[waiting[0]]._replace(confidence=confidence, stamp=stamp)
                state = state.put(waiting[0], again)
        for token, each in self.on(sample).items():
            is_earlier = each.model is not None and each.model.split()[0] == model.split()[0]
            if alone and is_earlier and not each.confirmed and token not in staying:
                state = state.without(token)
        return state

    def record(self) -> dict[tuple[str, int], Counter[str]]:
        """By model and label: how many suggestions wait, and what came of the others."""
        found: dict[tuple[str, int], Counter[str]] = {}
        for each in self.annotations.values():
            if each.model is not None:
                outcome = "ACCEPTED" if each.confirmed else "PENDING"
                found.setdefault((each.model, each.label), Counter())[outcome] += 1
        for verdict in self.verdicts.values():
            found.setdefault((verdict.model, verdict.label), Counter())[verdict.outcome] += 1
        return found

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
        returned = {token for kind, token in touched if kind == "verdict"}
        verdicts = {
            token: each
            for token, each in result.verdicts.items()
            if token in returned or (each.sample in result.samples and each.label in result.labels)
        }
        result = replace(result, verdicts=verdicts)
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


def _rivals(annotation: Annotation, other: Annotation) -> bool:
    """Whether only one of them can stay when both are of the same label. A model's suggestion of what is confirmed is
    settled afterwards."""
    if annotation.confirmed or other.confirmed:
        suggestion = other if annotation.confirmed else annotation
        return suggestion.confirmed or suggestion.model is None
    return annotation.model == other.model


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
