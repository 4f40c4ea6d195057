"""Splitting a version's labelled samples: for training, or put aside for evaluation.

Exact: of N samples, N × ratio are for training, rounded half up. Stratified: samples with the same set of labels are
divided by the ratio each, to one sample; every label is on both sides. Deterministic: a seed and the samples' paths say
which they are.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Invalid
from db.postgres import sql

LabelSet = tuple[int, ...]
SQL: Final = sql.load(__file__)
ROUNDS: Final = 10  # of moving samples with labels that are on one side only


@dataclass(frozen=True, slots=True)
class Split:
    """`train_ratio`: of the labelled samples, 0 to 1. As it is written: 0.1 is a tenth, not its binary neighbour."""

    train_ratio: float
    seed: int = 0

    def check(self) -> None:
        if not (isfinite(self.train_ratio) and 0 <= self.train_ratio <= 1):
            raise Invalid("`trainRatio` is a number from 0 to 1, such as 0.8.", path="trainRatio")


@dataclass(slots=True)
class Impossible(Exception):
    """Labels that cannot be on both sides."""

    labels: list[int] = field(default_factory=list)


async def write(session: AsyncSession, dataset_id: int, version_id: int, revision: int, split: Split) -> None:
    """Write which of the samples at this revision are for evaluation."""
    values = {"dataset_id": dataset_id, "revision": revision}
    strata = {tuple(row["label_ids"]): row["n"] for row in await sql.run(session, SQL.strata, **values)}
    try:
        train = divide(strata, Fraction(repr(split.train_ratio)))
    except Impossible as impossible:
        rows = await sql.run(session, SQL.label_names, version_id=version_id, ids=impossible.labels)
        labels = [row["name"] for row in rows]
        listed = ", ".join(f"`{name}`" for name in labels[:5]) + (" …" if len(labels) > 5 else "")
        raise Conflict(
            f"A split needs every label in both parts, and {listed} has too few samples: label more samples, or do not "
            "split.",
            code="SPLIT_CONDITIONS_NOT_MET",
            labels=labels,
        ) from None
    evaluation = {labels: strata[labels] - count for labels, count in train.items() if strata[labels] > count}
    await sql.run(
        session,
        SQL.write,
        **values,
        version_id=version_id,
        seed=str(split.seed),
        sets=["{" + ",".join(map(str, labels)) + "}" for labels in evaluation],
        counts=list(evaluation.values()),
    )


def divide(strata: dict[LabelSet, int], ratio: Fraction) -> dict[LabelSet, int]:
    """How many of each set of labels are for training. Raises Impossible."""
    total = sum(strata.values())
    train = {labels: int(count * ratio) for labels, count in strata.items()}
    by_remainder = sorted(strata, key=lambda labels: (train[labels] - strata[labels] * ratio, labels))
    for labels in by_remainder[: int(total * ratio + Fraction(1, 2)) - sum(train.values())]:
        train[labels] += 1
    if not 0 < ratio < 1:
        return train
    for _ in range(ROUNDS):  # every label on both sides, with few samples moved, and the total kept where that can be
        missing = list(_missing(strata, train))
        if not missing:
            return train
        for label, side in missing:
            _move(strata, train, label, side)
    raise Impossible(sorted({label for label, _ in _missing(strata, train)}))


def _missing(strata: dict[LabelSet, int], train: dict[LabelSet, int]) -> Iterator[tuple[int, int]]:
    """Labels that are not on a side: 1 is training, -1 evaluation."""
    training, evaluation = _sides(strata, train)
    for label in sorted(training.keys() | evaluation.keys()):
        if not training[label]:
            yield label, 1
        if not evaluation[label]:
            yield label, -1


def _sides(strata: dict[LabelSet, int], train: dict[LabelSet, int]) -> tuple[Counter[int], Counter[int]]:
    training, evaluation = Counter[int](), Counter[int]()
    for labels, count in strata.items():
        for label in labels:
            training[label] += train[labels]
            evaluation[label] += count - train[labels]
    return training, evaluation


def _move(strata: dict[LabelSet, int], train: dict[LabelSet, int], label: int, side: int) -> None:
    """One sample with the label to this side, and another back from where most are, if no label is lost by it."""
    candidates = [labels for labels in strata if label in labels and _room(strata, train, labels, side)]
    training, evaluation = _sides(strata, train)
    if not candidates or (training if side > 0 else evaluation)[label]:
        return
    moved = max(candidates, key=lambda labels: (_room(strata, train, labels, side), -len(labels), labels))
    train[moved] += side
    training, evaluation = _sides(strata, train)
    spare = training if side > 0 else evaluation
    back = [
        labels
        for labels in strata
        if labels != moved and _room(strata, train, labels, -side) and all(spare[each] > 1 for each in labels)
    ]
    if back:
        train[max(back, key=lambda labels: (_room(strata, train, labels, -side), labels))] -= side


def _room(strata: dict[LabelSet, int], train: dict[LabelSet, int], labels: LabelSet, side: int) -> int:
    """How many samples of this set could go to the side."""
    return strata[labels] - train[labels] if side > 0 else train[labels]
