"""Changes of all samples, each one mutation, while sixteen clients label samples of another dataset.

The tables by hand have a history here: a copy of each row that a statement changes or deletes; in one row with the
indexes that versions are read by. Others label while ours is measured, and by hand in that row alone. WAL, and what
tables and indexes grow by, are in bytes a sample, times in microseconds a sample: for a million samples, in seconds.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from benchmarks import dataset
from benchmarks.arena import CLIENTS, Arena, opened
from benchmarks.hand import SQL as BY_HAND
from benchmarks.others import Others
from benchmarks.runner import Bench, Measure, Row, Side
from benchmarks.writes import LABEL, UNDOING, Bulk, create_label
from db.postgres import sql

SQL: Final = sql.load(__file__)
ELSEWHERE: Final = 1_000  # samples of the other dataset
RENAME: Final = "mutation ($input: RenameLabelInput!) { renameLabel(input: $input) { change { id } } }"


async def run(bench: Bench) -> None:
    async with opened(bench, "--no-worker", "--allow-root", str(bench.data)) as arena:
        others = await _label_elsewhere(arena)
        await bench.run(*await _rows(arena, others))


async def _label_elsewhere(arena: Arena) -> Others:
    """Each request adds a label to one sample, or removes it again."""
    made = await dataset.fill(arena.control, ELSEWHERE, labels=10, name="elsewhere")
    first = await arena.control.fetchval("SELECT min(id) FROM sample WHERE dataset_id = $1", made.dataset_id)
    await arena.control.execute(";".join([BY_HAND.follow_datasets, SQL.sources, SQL.empty_past, SQL.history]))
    tokens = itertools.cycle(arena.tokens)
    requests = (
        arena.ours.graphql(LABEL, {"input": {**given, "labels": ["label_1"], "mode": mode}}, token=next(tokens))
        for mode in itertools.cycle(["ADD", "REMOVE"])
        for sample in range(first, first + ELSEWHERE)
        for given in [{"datasetId": f"Dataset:{made.dataset_id}", "select": {"ids": [f"Sample:{sample}"]}}]
    )
    return Others(arena.ours, requests, arena.bench.seconds, clients=CLIENTS)


@dataclass(slots=True)
class Every(Bulk):
    """Every sample of the dataset."""

    @classmethod
    async def begun(cls, arena: Arena) -> "Every":
        return cls(arena, arena.bench.rows, "", await create_label(arena))

    async def label(self, mode: str = "ADD") -> Measure:
        given = {"datasetId": self.arena.dataset_id, "select": {"all": True}, "labelIds": [self.label_id]}
        self.labelling = await self._change(LABEL, **given, mode=mode)
        return self.labelling

    async def label_by_hand(self) -> Measure:
        return await self._by_hand("/label_all", labels=["bulk"])

    async def keep_readable_past(self) -> None:
        """By hand, a page of a version could be read as quickly as of ours."""
        await self.keep_past()
        await self.arena.control.execute(SQL.readable_past)
        await self.arena.control.execute("VACUUM")

    async def keep_past(self) -> None:
        """Those by hand have what ours have; from here on their past is kept as at first."""
        await self.arena.follow()
        await self.arena.control.execute(SQL.empty_past)

    async def label_only_it(self) -> None:
        """A sample that has no other label is deleted with it."""
        await self.label("SET")

    async def rename(self, name: str, on_conflict: str = "ERROR") -> Measure:
        return await self._change(RENAME, labelId=self.label_id, name=name, onConflict=on_conflict)


async def _rows(arena: Arena, others: Others) -> Sequence[Row]:
    """In an order in which each leaves what the next one needs."""
    every = await Every.begun(arena)
    hand = partial(arena.sized, "hand")
    many = f"{every.count:,} samples"
    merge = partial(every.rename, "label_1", "MERGE")
    only, samples, files = "LABEL_ONLY", "LABEL_AND_SAMPLES", "LABEL_SAMPLES_AND_SOURCES"
    labelling, undone = (every.last_labelling, "labelling them"), (every.last_change, "what is undone")

    def ours(side: Side) -> Side:
        """The checkpoint before it is none of what disturbs the others."""
        return arena.sized("public", others.during(side))

    def beside(*rows: Row) -> list[Row]:
        return [part for row in rows for part in (row, others.row(f"others during it: {row.name}, p99"))]

    labelling_rows = beside(
        Row(f"label {many}", "µs", ours(every.label), hand(every.label_by_hand), goal=1, before=every.start),
        Row("undo of labelling", "µs", ours(every.undo), *undone, UNDOING),
    )
    readable = Row(
        f"label {many}, with a past that versions are read from, others on both sides",
        "µs",
        every.last_labelling,
        hand(replace(others).during(every.label_by_hand)),
        goal=1,
        before=every.keep_readable_past,
    )
    other_rows = beside(
        Row("renameLabel", "µs", ours(partial(every.rename, "all")), *labelling, before=every.label_only_it),
        Row("renameLabel, a merge", "µs", ours(merge), *labelling, UNDOING),
        Row("undo of the merge", "µs", ours(every.undo), *undone, UNDOING),
        *(
            row
            for mode in (only, samples)
            for row in (
                Row(
                    f"deleteLabels {mode}",
                    "µs",
                    ours(partial(every.delete, mode)),
                    hand(partial(every.delete_by_hand, mode)),
                    goal=1,
                    before=every.keep_past,
                ),
                Row(f"undo of {mode}", "µs", ours(every.undo), *undone, UNDOING),
            )
        ),
        Row("setCurrentVersion", "µs", ours(every.switch), *labelling, UNDOING),
        Row(
            f"deleteLabels {files}",
            "µs",
            ours(partial(every.delete, files)),
            *labelling,
            UNDOING,
            before=every.label_only_it,
        ),
    )
    return [*labelling_rows, readable, *other_rows]
