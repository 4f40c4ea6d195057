"""How many units of each stratum go to each part of a split. No database: numbers in, numbers out.

A unit stays in one part: a sample, or a group of samples. A stratum is all units with the same labels and the same
number of samples. Which units of a stratum go where is drawn by a seed elsewhere (`split.sql`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, NamedTuple

ROUNDS: Final = 10  # of moving units with labels that a side lacks


class Stratum(NamedTuple):
    """`labels`: numbers in whose order ties are broken. `size`: samples of each unit."""

    labels: tuple[int, ...]
    size: int = 1


class Units(NamedTuple):
    """Of a stratum: how many there are, and how many of them stay in evaluation and in test."""

    number: int
    kept_eval: int = 0
    kept_test: int = 0


@dataclass(frozen=True, slots=True)
class Ratios:
    """Of all samples. They are 1 together."""

    train: Fraction
    eval: Fraction
    test: Fraction = Fraction(0)


@dataclass(slots=True)
class Impossible(Exception):
    """Labels that cannot be in every part."""

    labels: list[int] = field(default_factory=list)


Counts = dict[Stratum, int]
Order = Callable[[Stratum], Any]  # in which ties are broken


class _Side:
    """Some of the units are on a side, `taken`, and the others on the other one. Of each stratum at least `least` and
    at most `most` are on it. `needed`: how many units with a label must be on the other side."""

    def __init__(self, counts: Counts, taken: Counts, least: Counts, most: Counts, needed: Counter[int]) -> None:
        self.taken, self.least, self.most, self.needed = taken, least, most, needed
        self.here, self.there = Counter[int](), Counter[int]()  # units with each label
        for stratum, count in counts.items():
            for label in stratum.labels:
                self.here[label] += taken[stratum]
                self.there[label] += count - taken[stratum]

    def put_labels_on_both(self) -> None:
        """Every label on both sides, with few units moved, and the total kept where that can be. Raises Impossible."""
        for _ in range(ROUNDS):
            missing = list(self._missing())
            if not missing:
                return
            for label, side in missing:
                self._move(label, side)
        if missing := list(self._missing()):
            raise Impossible(sorted({label for label, _ in missing}))

    def _missing(self) -> Iterator[tuple[int, int]]:
        """Labels that a side has too few of: 1 is this one, -1 the other."""
        for label in sorted(self.here):
            for side in (1, -1):
                if self._spare(label, side) < 0:
                    yield label, side

    def _spare(self, label: int, side: int) -> int:
        """How many units with the label the side has beyond those that it needs."""
        return self.here[label] - 1 if side > 0 else self.there[label] - self.needed[label]

    def _room(self, stratum: Stratum, side: int) -> int:
        """How many units of the stratum could go to the side."""
        taken = self.taken[stratum]
        return self.most[stratum] - taken if side > 0 else taken - self.least[stratum]

    def _move(self, label: int, side: int) -> None:
        """One unit with the label to this side, and another back from where most are, if no label is lost by it."""
        candidates = [each for each in self.taken if label in each.labels and self._room(each, side)]
        if not candidates or self._spare(label, side) >= 0:
            return
        moved = max(candidates, key=lambda each: (-each.size, self._room(each, side), -len(each.labels), each.labels))
        self._take(moved, side)
        back = [
            each
            for each in self.taken
            if each != moved and each.size == moved.size and self._room(each, -side)
            if all(self._spare(one, side) > 0 for one in each.labels)
        ]
        if back:
            self._take(max(back, key=lambda each: (self._room(each, -side), each.labels)), -side)

    def _take(self, stratum: Stratum, count: int) -> None:
        self.taken[stratum] += count
        for label in stratum.labels:
            self.here[label] += count
            self.there[label] -= count


def _by_labels(stratum: Stratum) -> Stratum:
    return stratum


def divide(strata: Mapping[Stratum, Units], ratios: Ratios, *, order: Order = _by_labels) -> dict[Stratum, Units]:
    """How many of each stratum are for evaluation and for test, as `kept_eval` and `kept_test`; the rest is for
    training. Raises Impossible.

    Of N samples, N × ratio are for training and for test, rounded half up, as far as units and what is kept allow.
    """
    counts = {stratum: units.number for stratum, units in strata.items()}
    samples = sum(count * stratum.size for stratum, count in counts.items())
    none = dict.fromkeys(counts, 0)
    unkept = {stratum: units.number - units.kept_eval - units.kept_test for stratum, units in strata.items()}
    train = _share(counts, ratios.train, _rounded(samples * ratios.train), none, unkept, order)
    needed = _needed(strata, ratios)
    if ratios.train and ratios.train < 1:
        _Side(counts, train, none, unkept, needed).put_labels_on_both()

    rest = {stratum: count - train[stratum] for stratum, count in counts.items()}
    kept = {stratum: units.kept_test for stratum, units in strata.items()}
    most = {stratum: rest[stratum] - units.kept_eval for stratum, units in strata.items()}
    left = sum(count * stratum.size for stratum, count in rest.items())
    total = min(left, _rounded(samples * ratios.test)) if ratios.eval else left
    test = _share(counts, ratios.test, total, kept, most, order) if ratios.test else kept
    if ratios.eval and ratios.test:
        _Side(rest, test, kept, most, Counter(dict.fromkeys(needed, 1))).put_labels_on_both()
    return {each: Units(count, rest[each] - test[each], test[each]) for each, count in counts.items()}


def _share(counts: Counts, ratio: Fraction, total: int, least: Counts, most: Counts, order: Order) -> Counts:
    """The ratio of each stratum, rounded down, and one unit more of those that lack most, until the total is reached as
    nearly as units allow."""
    whole, part = ratio.denominator, ratio.numerator
    taken = {each: min(max(count * part // whole, least[each]), most[each]) for each, count in counts.items()}
    left, before = total - sum(count * each.size for each, count in taken.items()), None
    while left and left != before:
        before, step = left, 1 if left > 0 else -1
        lacks = {each: (step * (taken[each] * whole - count * part), order(each)) for each, count in counts.items()}
        for each in sorted(counts, key=lacks.__getitem__):
            if least[each] <= taken[each] + step <= most[each] and abs(left - step * each.size) < abs(left):
                taken[each] += step
                left -= step * each.size
    return taken


def _needed(strata: Mapping[Stratum, Units], ratios: Ratios) -> Counter[int]:
    """How many units with each label must not be for training, so that evaluation and test, if both are asked for, have
    one each. What is kept in one is of no use to the other."""
    kept_eval, kept_test = Counter[int](), Counter[int]()
    for stratum, units in strata.items():
        for label in stratum.labels:
            kept_eval[label] += units.kept_eval
            kept_test[label] += units.kept_test
    asked = bool(ratios.eval) + bool(ratios.test)
    return Counter(
        {
            label: max(asked, kept_eval[label] + 1 if ratios.test else 0, kept_test[label] + 1 if ratios.eval else 0)
            for label in kept_eval
        }
    )


def _rounded(number: Fraction) -> int:
    return int(number + Fraction(1, 2))
