"""Rows of figures, each compared with its baseline, in rounds whose order alternates, printed and kept in a file.

The ratio of a row is that of speeds: less than 1 is slower than the baseline, whatever is measured. It is computed in
each round, since what else the machine does then slows both sides.
"""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

ROOT: Final = Path(__file__).parent.parent
HISTORY: Final = "history.jsonl"
HEAD: Final = (
    "| | unit | ours | baseline | | ratio | quartiles | goal | ours / baseline |\n|---|---|--:|--:|---|--:|---|--:|---|"
)

Unit = Literal["1/s", "s", "ms", "µs"]  # the last three: of one thing
UNITS: Final[Mapping[Unit, Callable[[float], float]]] = {
    "1/s": lambda speed: speed,
    "s": lambda speed: 1 / speed,
    "ms": lambda speed: 1e3 / speed,
    "µs": lambda speed: 1e6 / speed,
}


@dataclass(frozen=True, slots=True)
class Measure:
    """So many things in so much time. `more`: other figures of the same stretch, by name."""

    count: float
    seconds: float
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def speed(self) -> float:
        return self.count / self.seconds


Side = Callable[[], Awaitable[Measure]]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `baseline` is what it is compared with; `goal` is the ratio to reach. `before` is done in
    each round before both sides, and not measured; `warm_up`: each side runs once before the first round."""

    name: str
    unit: Unit
    ours: Side
    baseline: Side
    baseline_name: str = "by hand"
    goal: float | None = None
    before: Callable[[], Awaitable[None]] | None = None
    warm_up: bool = False

    async def measure(self, *, ours_first: bool = True) -> tuple[Measure, Measure]:
        if self.before is not None:
            await self.before()
        if ours_first:
            return await self.ours(), await self.baseline()
        baseline = await self.baseline()
        return await self.ours(), baseline


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one figure in all rounds: the median and the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        low, median, high = statistics.quantiles(values, method="inclusive") if len(values) > 1 else [values[0]] * 3
        return cls(median, low, high)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of a benchmark: on so many samples, in so many rounds, those rows or groups that have `only` in their
    names. `data` is its folder, `postgres` the URL of its Postgres. `facts` are kept with each row."""

    name: str
    rows: int
    rounds: int
    seconds: float
    only: str
    data: Path
    postgres: str
    facts: Mapping[str, Any]

    def wants(self, name: str) -> bool:
        return self.only in name

    async def run(self, *rows: Row) -> None:
        """Run rows that follow from each other: in each round all of them, one after the other."""
        for row in rows:
            if row.warm_up:
                await row.measure()
        rounds = [[await row.measure(ours_first=number % 2 == 0) for row in rows] for number in range(self.rounds)]
        for row, measures in zip(rows, zip(*rounds, strict=True), strict=True):
            self._report(row, [ours for ours, _ in measures], [baseline for _, baseline in measures])

    def _report(self, row: Row, ours: Sequence[Measure], baseline: Sequence[Measure]) -> None:
        ratio = Spread.of([one.speed / other.speed for one, other in zip(ours, baseline, strict=True)])
        sides = our_figures, baseline_figures = _figures(row.unit, ours), _figures(row.unit, baseline)
        [first, *more] = (
            (name, *(_text(side[name].median) if name in side else "–" for side in sides))
            for name in dict.fromkeys([*our_figures, *baseline_figures])
        )
        goal = "" if row.goal is None else f"≥ {row.goal:.2g}"
        cells = (row.name, *first, row.baseline_name, f"{ratio.median:.2f}", f"{ratio.low:.2f}–{ratio.high:.2f}", goal)
        print(
            f"| {' | '.join(cells)} | {', '.join(f'{name} {one} / {other}' for name, one, other in more)} |", flush=True
        )
        what = {"benchmark": self.name, "row": row.name, "baseline": row.baseline_name, "goal": row.goal}
        spreads = {
            "ratio": astuple(ratio),
            "ours": _tuples(our_figures),
            "baseline_figures": _tuples(baseline_figures),
        }
        how = {"rows": self.rows, "rounds": self.rounds, "load": os.getloadavg()[0], **self.facts}
        record = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **what, **spreads, **how}
        with (self.data / HISTORY).open("a") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _figures(unit: Unit, side: Sequence[Measure]) -> dict[str, Spread]:
    """The main figure first, by its unit, then the others."""
    others = {name: Spread.of([each.more[name] for each in side]) for name in side[0].more}
    return {unit: Spread.of([UNITS[unit](each.speed) for each in side]), **others}


def _tuples(figures: Mapping[str, Spread]) -> dict[str, tuple[float, ...]]:
    return {name: astuple(spread) for name, spread in figures.items()}


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def expect_equal(name: str, ours: Any, by_hand: Any) -> None:
    """Both must return the same answer, or there is nothing to compare."""
    if ours != by_hand:
        raise SystemExit(f"{name}: the answers differ\n{ours}\n{by_hand}"[:2000])


def machine() -> str:
    """Processors, memory and system of this machine."""
    model = next((line.partition(": ")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} × {model or platform.machine()}, {memory:.0f} GiB, {system}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def revision() -> str:
    """The commit that is measured; with a `+` if files differ from it. Empty where there is no repository."""
    described = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
    )
    return described.stdout.strip()
