"""What a model says of labelled samples, compared with what people did: pure.

Labels of whole images are compared as they are. A shape is right if people drew one with the same label, and the boxes
around the two overlap by half of what both cover. Boxes around points and lines, which have no area, get a little.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from db.formats.shapes import Shape, extent
from db.vision import THRESHOLDS

LEAST_SIDE: Final = 4.0  # pixels of a box
OVERLAP: Final = 0.5  # of two boxes: intersection over union
MAX_CONFUSIONS: Final = 1_000  # pairs of labels
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class LabelScore:
    """`samples`: how many labelled samples have it. `support` is None of a label that is left out."""

    label: int
    name: str
    samples: int
    precision: float | None = None
    recall: float | None = None
    support: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What an evaluation found. `confusions`: how often, the label that people gave, and the one that the model gives.
    `thresholds`: least confidences, each with the share of samples that get a suggestion, and how many of these are
    right."""

    accuracy: float
    sample_count: int
    scores: Sequence[LabelScore]
    confusions: Sequence[tuple[int, str, str]]
    thresholds: Sequence[tuple[float, float, float | None]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A label on a sample, with its shape if it has one."""

    label: int
    shape: Shape | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Compared:
    """A sample: the labels that people gave; those that the model gives, with confidences and whether they are right;
    and pairs of both, for the same thing."""

    actual: Sequence[int]
    given: Sequence[tuple[int, float, bool]]
    pairs: Sequence[tuple[int, int]] = ()


def compare_label(actual: int, said: Sequence[Mark]) -> Compared:
    """The surest label, where an image has one."""
    if not said:
        return Compared([actual], [])
    surest = max(said, key=lambda mark: mark.confidence)
    given = surest.label, surest.confidence, surest.label == actual
    return Compared([actual], [given], [(actual, surest.label)])


def compare_labels(actual: Sequence[Mark], said: Sequence[Mark]) -> Compared:
    """Each label once, whatever its shapes."""
    has = {mark.label for mark in actual}
    surest: dict[int, float] = {}
    for mark in said:
        surest[mark.label] = max(mark.confidence, surest.get(mark.label, 0.0))
    given = [(label, confidence, label in has) for label, confidence in surest.items()]
    return Compared(sorted(has), given)


def compare_shapes(actual: Sequence[Mark], said: Sequence[Mark]) -> Compared:
    """The surest first, each with the one that it overlaps most; those of the same label before others."""
    free = [(mark.label, extent(mark.shape)) for mark in actual if mark.shape is not None]
    labels, given, pairs = [label for label, _ in free], list[tuple[int, float, bool]](), list[tuple[int, int]]()
    others: list[tuple[int, Box]] = []
    for mark in sorted(said, key=lambda mark: -mark.confidence):
        if mark.shape is None:
            continue
        box = extent(mark.shape)
        found = _taken(free, box, mark.label)
        given.append((mark.label, mark.confidence, found is not None))
        if found is None:
            others.append((mark.label, box))
        else:
            pairs.append((found, mark.label))
    for label, box in others:
        found = _taken(free, box)
        if found is not None:
            pairs.append((found, label))
    return Compared(labels, given, pairs)


def _taken(free: list[tuple[int, Box]], box: Box, label: int | None = None) -> int | None:
    """The label of the box that is overlapped most, which is not free any more."""
    shares = [
        (overlap(each, box), position) for position, (of, each) in enumerate(free) if label is None or of == label
    ]
    share, position = max(shares, default=(0.0, 0))
    return free.pop(position)[0] if share >= OVERLAP else None


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0 to 1."""
    one, other = _grown(one), _grown(other)
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def _grown(box: Box) -> Box:
    """The box, around its centre at least LEAST_SIDE wide and high."""
    left, top, right, bottom = box
    across, down = (max(0.0, LEAST_SIDE - side) / 2 for side in (right - left, bottom - top))
    return left - across, top - down, right + across, bottom + down


def findings(compared: Sequence[Compared], names: Mapping[int, str]) -> Findings:
    """Of at least one sample. Labels that neither people nor the model gave are not named."""
    given = [each for sample in compared for each in sample.given]
    support = Counter(label for sample in compared for label in sample.actual)
    said, right = Counter(label for label, _, _ in given), Counter(label for label, _, is_right in given if is_right)
    scores = [
        LabelScore(
            label,
            name,
            support[label],
            precision=right[label] / said[label] if said[label] else None,
            recall=right[label] / support[label] if support[label] else None,
            support=support[label],
        )
        for label, name in names.items()
        if support[label] or said[label]
    ]
    pairs = Counter(pair for sample in compared for pair in sample.pairs)
    confusions = sorted(
        ((count, names[actual], names[predicted]) for (actual, predicted), count in pairs.items()), reverse=True
    )
    return Findings(
        accuracy=sum(map(_is_right, compared)) / len(compared),
        sample_count=len(compared),
        scores=scores,
        confusions=confusions[:MAX_CONFUSIONS],
        thresholds=[_threshold(least, compared) for least in THRESHOLDS],
    )


def _is_right(sample: Compared) -> bool:
    return len(sample.given) == len(sample.actual) and all(is_right for _, _, is_right in sample.given)


def _threshold(least: float, compared: Sequence[Compared]) -> tuple[float, float, float | None]:
    sure = [[is_right for _, confidence, is_right in sample.given if confidence >= least] for sample in compared]
    count, right = sum(map(len, sure)), sum(map(sum, sure))
    return least, sum(map(bool, sure)) / len(compared), right / count if count else None
