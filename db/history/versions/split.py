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

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Invalid
from db.postgres import sql

LabelSet = tuple[int, ...]
ROUNDS = 10  # of repairing labels that are on one side only; each mends what it can

STATE = """(
    SELECT id, path, label_ids FROM sample WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision
    UNION ALL
    SELECT id, path, label_ids FROM sample_past
    WHERE dataset_id = :dataset_id AND state = 'LABELED' AND since <= :revision AND until > :revision
)"""
STRATA = f"SELECT label_ids, count(*) AS n FROM {STATE} s GROUP BY label_ids ORDER BY label_ids"
WRITE = f"""
INSERT INTO version_eval (version_id, sample_id, dataset_id)
SELECT :version_id, id, :dataset_id
FROM (SELECT id, label_ids, row_number() OVER (PARTITION BY label_ids ORDER BY md5(:seed || ':' || path), id) AS place
      FROM {STATE} s) drawn
JOIN (SELECT label_ids::bigint[] AS label_ids, n FROM unnest(:sets::text[], :counts::bigint[]) AS t (label_ids, n)) part
    USING (label_ids)
WHERE place <= part.n
"""
NAMES = (
    "SELECT name FROM version_label WHERE version_id = :version_id AND label_id = ANY(:ids::bigint[]) ORDER BY label_id"
)


@dataclass(frozen=True, slots=True)
class Split:
    """`train_ratio`: of the labelled samples, 0 to 1. As it is written: 0.1 is a tenth, not its binary neighbour."""

    train_ratio: float
    seed: int = 0

    def check(self) -> None:
        if not (isfinite(self.train_ratio) and 0 <= self.train_ratio <= 1):
            raise Invalid("`trainRatio` is a number from 0 to 1, such as 0.8.", field="trainRatio")

    @property
    def exactly(self) -> Fraction:
        return Fraction(repr(self.train_ratio))


@dataclass(slots=True)
class Impossible(Exception):
    """Labels that cannot be on both sides."""

    labels: list[int] = field(default_factory=list)


async def write(session: AsyncSession, dataset_id: int, version_id: int, revision: int, split: Split) -> None:
    """Put aside what the split says, of the samples at this revision."""
    values = {"dataset_id": dataset_id, "revision": revision}
    strata = {tuple(row["label_ids"]): row["n"] for row in await sql.run(session, STRATA, **values)}
    try:
        train = divide(strata, split.exactly)
    except Impossible as impossible:
        rows = await sql.run(session, NAMES, version_id=version_id, ids=impossible.labels)
        raise _conditions([row["name"] for row in rows]) from None
    aside = {labels: strata[labels] - count for labels, count in train.items() if strata[labels] > count}
    sets = ["{" + ",".join(map(str, labels)) + "}" for labels in aside]
    await sql.run(
        session,
        WRITE,
        **values,
        version_id=version_id,
        seed=str(split.seed),
        sets=sets,
        counts=list(aside.values()),
    )


def _conditions(labels: list[str]) -> Conflict:
    listed = ", ".join(f"`{name}`" for name in labels[:5]) + (" …" if len(labels) > 5 else "")
    return Conflict(
        f"A split needs every label on both sides, and {listed} is on too few samples: label more, or do not split.",
        code="SPLIT_CONDITIONS_NOT_MET",
        labels=labels,
    )


def divide(strata: dict[LabelSet, int], ratio: Fraction) -> dict[LabelSet, int]:
    """How many of each set of labels are for training. Raises Impossible."""
    total = sum(strata.values())
    wanted = int(total * ratio + Fraction(1, 2))
    train = {labels: int(count * ratio) for labels, count in strata.items()}
    rest = sorted(strata, key=lambda labels: (train[labels] - strata[labels] * ratio, labels))
    for labels in rest[: wanted - sum(train.values())]:
        train[labels] += 1
    if 0 < ratio < 1:
        _cover(strata, train)
    return train


def _cover(strata: dict[LabelSet, int], train: dict[LabelSet, int]) -> None:
    """Every label on both sides, with as few samples moved as are needed, and the total kept where that can be."""
    for _ in range(ROUNDS):
        missing = list(_missing(strata, train))
        if not missing:
            return
        for label, side in missing:
            _move(strata, train, label, side)
    raise Impossible(sorted({label for label, _ in _missing(strata, train)}))


def _missing(strata: dict[LabelSet, int], train: dict[LabelSet, int]) -> Iterator[tuple[int, int]]:
    """Labels that are not on a side: 1 is training, -1 evaluation."""
    here, there = _sides(strata, train)
    for label in sorted(here.keys() | there.keys()):
        if not here[label]:
            yield label, 1
        if not there[label]:
            yield label, -1


def _sides(strata: dict[LabelSet, int], train: dict[LabelSet, int]) -> tuple[Counter[int], Counter[int]]:
    here, there = Counter[int](), Counter[int]()
    for labels, count in strata.items():
        for label in labels:
            here[label] += train[labels]
            there[label] += count - train[labels]
    return here, there


def _move(strata: dict[LabelSet, int], train: dict[LabelSet, int], label: int, side: int) -> None:
    """One sample with the label to this side, and another back from where most are, if no label is lost by it."""
    carrying = [labels for labels in strata if label in labels and _room(strata, train, labels, side)]
    here, there = _sides(strata, train)
    if not carrying or (here if side > 0 else there)[label]:
        return
    chosen = max(carrying, key=lambda labels: (_room(strata, train, labels, side), -len(labels), labels))
    train[chosen] += side
    here, there = _sides(strata, train)
    spare = here if side > 0 else there
    back = [
        labels
        for labels in strata
        if labels != chosen and _room(strata, train, labels, -side) and all(spare[each] > 1 for each in labels)
    ]
    if back:
        train[max(back, key=lambda labels: (_room(strata, train, labels, -side), labels))] -= side


def _room(strata: dict[LabelSet, int], train: dict[LabelSet, int], labels: LabelSet, side: int) -> int:
    """How many samples of this set could go to the side."""
    return strata[labels] - train[labels] if side > 0 else train[labels]
