"""Splitting a version's labelled samples: for training, or put aside for evaluation and test.

Exact: of N samples, N × ratio are for training, rounded half up. Stratified: samples with the same set of labels are
divided by the ratios each, to one sample; every label is in every part. Deterministic: a seed and the samples' paths
say which they are. Where directories are asked for, each is in one part as a whole, and numbers are as near as that
allows.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, sqrt
from typing import Any, Final, Literal

import asyncpg
from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Invalid
from db.history.division import Impossible, Ratios, Stratum, Units, divide
from db.postgres import sql
from db.postgres.models import Version, VersionEval

SQL: Final = sql.load(__file__)
SLACK: Final = Fraction(1, 10**9)  # of the sum of ratios: a third has no last digit
UNITS: Final = {None: "samples", "DIRECTORY": "directories"}
LABEL: Final = (1 << 21) - 1  # the bits of a label's id in the key of up to three
EVERY: Final = "g"  # what all hashes are below
MARGIN: Final = 16  # of 10,000,000 strata, one has fewer units below its limit than are drawn
REMEDIES: Final = {None: "label more samples", "DIRECTORY": "label samples in more directories, leave `groupBy` out"}

Grouping = Literal["DIRECTORY"]


@dataclass(frozen=True, slots=True)
class Split:
    """Ratios are of the labelled samples, 0 to 1, as they are written: 0.1 is a tenth, not its binary neighbour. One
    that is not given is what the others leave; if two are not, there is no test. `keep_from`: a version whose samples
    for evaluation and test stay that. `group_by`: which samples stay together."""

    train_ratio: float
    seed: int = 0
    eval_ratio: float | None = None
    test_ratio: float | None = None
    keep_from: int | None = None
    group_by: Grouping | None = None

    def check(self) -> None:
        for name, ratio in (
            ("trainRatio", self.train_ratio),
            ("evalRatio", self.eval_ratio),
            ("testRatio", self.test_ratio),
        ):
            if ratio is not None and not (isfinite(ratio) and 0 <= ratio <= 1):
                raise Invalid(f"`{name}` must be a number from 0 to 1, and is {ratio:g}.", path=name)
        missing = 1 - sum(map(_exact, (self.train_ratio, self.eval_ratio, self.test_ratio)))
        if missing < -SLACK:
            raise Invalid("The ratios of a split are more than 1 together.", path="trainRatio")
        if missing > SLACK and None not in (self.eval_ratio, self.test_ratio):
            raise Invalid(
                "The ratios of a split are less than 1 together; leave out `evalRatio` or `testRatio`, and it is what "
                "the others leave.",
                path="trainRatio",
            )

    @property
    def ratios(self) -> Ratios:
        train, test = _exact(self.train_ratio), _exact(self.test_ratio)
        if self.eval_ratio is None:
            return Ratios(train, max(Fraction(0), 1 - train - test), test)
        evaluation = min(_exact(self.eval_ratio), 1 - train)
        return Ratios(train, evaluation, 1 - train - evaluation)

    @property
    def is_plain(self) -> bool:
        """As splits have always been: what such a one draws never changes."""
        return all(each is None for each in (self.eval_ratio, self.test_ratio, self.keep_from, self.group_by))


async def write(
    session: AsyncSession, dataset_id: int, version_id: int, revision: int, split: Split, *, kept: Version | None = None
) -> tuple[int, int, int]:
    """Write which of the samples at this revision are for evaluation and test; how many are for training, evaluation
    and test. `kept`: the version to keep from."""
    values: dict[str, Any] = {"dataset_id": dataset_id, "version_id": version_id, "revision": revision}
    samples, aside = SQL.samples.format(labelled=SQL.labelled.format(revision=":revision")), ""
    if kept is not None:
        values |= {"kept_id": kept.id, "kept_revision": kept.revision}
        before = SQL.labelled.format(revision=":kept_revision")
        aside = SQL.aside.format(kept=before)
        labelled = SQL.labelled.format(revision=":revision")
        samples = SQL.samples_since.format(labelled=labelled, aside=aside, kept=before)
    units = samples if split.group_by is None else SQL.directories.format(samples=samples)

    rows: list[asyncpg.Record] = []
    if split.group_by is None and kept is None:
        rows = await sql.run(session, SQL.strata_by_keys.format(units=units), **values)
    if not rows or any(row["key"] < 0 for row in rows):
        rows = await sql.run(session, SQL.strata.format(units=units), **values)
    names = {row["label_id"]: row["name"] for row in await sql.run(session, SQL.label_names, version_id=version_id)}
    drawn, parts = await asyncio.to_thread(_drawn, rows, names, split)
    values |= drawn | {"seed": str(split.seed)}
    statement = SQL.drawn.format(units=units)
    if split.group_by is None:
        statement = SQL.write_samples.format(drawn=statement)
    else:
        statement = SQL.write_directories.format(samples=samples, drawn=statement)
    if await sql.count(session, statement, **values) < parts[1] + parts[2]:  # too few were below a limit
        await session.exec(delete(VersionEval).where(col(VersionEval.version_id) == version_id))
        await sql.run(session, statement, **values | {"below": [EVERY] * len(drawn["below"])})
    if kept is not None:
        await sql.run(session, SQL.write_unlabelled.format(aside=aside), **values)
    return parts


def _drawn(
    rows: Sequence[asyncpg.Record], names: Mapping[int, str], split: Split
) -> tuple[dict[str, list[Any]], tuple[int, int, int]]:
    """How many units of each stratum are to be drawn, as values of the statement; and how many samples each part then
    has. Raises Conflict."""
    # Labels in the order of their names, which is the same wherever the same samples are, or as splits have always had
    # them: in that in which they were made.
    in_order = sorted(names) if split.is_plain else sorted(names, key=names.__getitem__)
    numbers = {label_id: number for number, label_id in enumerate(in_order)}
    strata, keys = dict[Stratum, Units](), dict[Stratum, tuple[int, str | None]]()
    for key, label_ids, size, *units in rows:
        stratum = Stratum(tuple(sorted([numbers[each] for each in _label_ids(key, label_ids)])), size)
        strata[stratum], keys[stratum] = Units(*units), (key, label_ids)

    def order(stratum: Stratum) -> Any:
        if split.group_by is None:
            return stratum.labels
        on_them = [names[in_order[each]] for each in stratum.labels]
        return hashlib.sha256(repr((split.seed, stratum.size, on_them)).encode()).digest()

    try:
        aside = divide(strata, split.ratios, order=order)
    except Impossible as impossible:
        raise _refusal([names[in_order[each]] for each in impossible.labels], split) from None
    drawn = [(stratum, part) for stratum, part in aside.items() if part.kept_eval or part.kept_test]
    total = sum(stratum.size * part.number for stratum, part in aside.items())
    evaluation = sum(stratum.size * part.kept_eval for stratum, part in drawn)
    test = sum(stratum.size * part.kept_test for stratum, part in drawn)
    values: dict[str, list[Any]] = {
        "keys": [keys[stratum][0] for stratum, _ in drawn],
        "labels": [keys[stratum][1] for stratum, _ in drawn],
        "sizes": [stratum.size for stratum, _ in drawn],
        "evals": [part.kept_eval - strata[stratum].kept_eval for stratum, part in drawn],
        "tests": [part.kept_test - strata[stratum].kept_test for stratum, part in drawn],
    }
    values["below"] = [
        _limit(evals + tests, strata[stratum], in_order=split.keep_from is None)
        for (stratum, _), evals, tests in zip(drawn, values["evals"], values["tests"], strict=True)
    ]
    return values, (total - evaluation - test, evaluation, test)


def _label_ids(key: int, text: str | None) -> Iterable[int]:
    if text is not None:
        return map(int, text[1:-1].split(","))
    return filter(None, (key & LABEL, key >> 21 & LABEL, key >> 42))


def _limit(drawn: int, units: Units, *, in_order: bool) -> str:
    """In hexadecimal digits, as long as units are drawn `in_order` of their hashes: below it are almost certainly
    enough of them, by Chernoff's bound, and rarely many more."""
    enough = drawn + MARGIN + sqrt(MARGIN**2 + 2 * MARGIN * drawn) if drawn else 0
    return f"{int(enough / units.number * 2**32):08x}" if in_order and enough < units.number else EVERY


def _refusal(labels: list[str], split: Split) -> Conflict:
    listed = ", ".join(f"`{name}`" for name in labels[:5]) + (" …" if len(labels) > 5 else "")
    parts = "all three parts" if split.ratios.eval and split.ratios.test else "both parts"
    return Conflict(
        f"A split needs every label in {parts}, and {listed} {'has' if len(labels) == 1 else 'have'} too few "
        f"{UNITS[split.group_by]}: {REMEDIES[split.group_by]}, or do not split.",
        code="SPLIT_CONDITIONS_NOT_MET",
        labels=labels,
    )


def _exact(ratio: float | None) -> Fraction:
    return Fraction(repr(ratio or 0))
