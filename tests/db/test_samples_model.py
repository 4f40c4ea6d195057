"""Every write against a model that is plain Python: generated histories, recounted and compared after each step.

At the end every revision is read back from live and past rows, and must be what the model was at that time.
"""

import asyncio
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from db.datasets import check
from db.errors import DomainError
from db.formats.shapes import BoundingBox, to_json
from db.history import changes
from db.history.transactions import write
from db.labelling import labels
from db.labelling.labels import LabelValues
from db.labelling.samples.annotate import Addition, AnnotateWith, Edit, Update, annotate
from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, ReplaceWith, label, replace_label
from db.labelling.samples.selection import Selection
from db.postgres import engine
from db.postgres.sql import connection_of
from db.queries.filters import LabelFilter, SampleFilter
from tests.db.dataset_rows import ANN, BOB, make
from tests.db.labelling_model import Annotation, Sample
from tests.db.labelling_model import Edit as AnnotationEdit
from tests.db.suggestion_rows import DERIVE
from tests.waiting import LIMITS

OPERATIONS = int(os.environ.get("LABELGRAPH_TEST_OPERATIONS", "800"))
STEPS = 20
SAMPLES = 4
WORDS = ["a", "b", "c"]
BOXES: dict[str, Any] = {"kind": "OBJECT_DETECTION", "size": (8, 8)}
LIVE = """
SELECT s.id, s.labeled_by, s.labeled_origin, ARRAY(
    SELECT format('%s %s %s %s', l.name, a.confirmed, (a.shape->>'xMin')::float, a.labeled_by)
    FROM annotation a JOIN label l ON l.id = a.label_id WHERE a.sample_id = s.id ORDER BY a.id) AS annotations
FROM sample s WHERE s.dataset_id = $1
"""
MARKED = "SELECT id FROM annotation WHERE sample_id = $1 ORDER BY id"
AT = """
WITH names AS (
    SELECT id, name FROM label WHERE dataset_id = $1 AND since <= $2
    UNION ALL SELECT id, name FROM label_past WHERE dataset_id = $1 AND since <= $2 AND until > $2
), rows AS (
    SELECT id, labeled_by, labeled_origin FROM sample WHERE dataset_id = $1 AND since <= $2
    UNION ALL SELECT id, labeled_by, labeled_origin FROM sample_past
    WHERE dataset_id = $1 AND since <= $2 AND until > $2
), facts AS (
    SELECT id, sample_id, label_id, confirmed, shape, labeled_by FROM annotation WHERE dataset_id = $1 AND since <= $2
    UNION ALL SELECT id, sample_id, label_id, confirmed, shape, labeled_by FROM annotation_past
    WHERE dataset_id = $1 AND since <= $2 AND until > $2
)
SELECT r.id, r.labeled_by, r.labeled_origin, ARRAY(
    SELECT format('%s %s %s %s', n.name, f.confirmed, (f.shape->>'xMin')::float, f.labeled_by)
    FROM facts f JOIN names n ON n.id = f.label_id WHERE f.sample_id = r.id ORDER BY f.id) AS annotations
FROM rows r
"""


PLACES = st.lists(st.integers(0, SAMPLES), max_size=4).map(tuple)  # SAMPLES itself is a sample of nobody
NAMES = st.lists(st.sampled_from(WORDS), max_size=3, unique=True)
LEFT = st.sampled_from([None, 1, 2])  # edges of boxes; None is the whole image
MARKS = st.tuples(st.integers(0, SAMPLES - 1), st.sampled_from(WORDS), LEFT, st.booleans())
WHO = st.sampled_from([ANN, BOB])


class Writes(RuleBasedStateMachine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.runner = asyncio.Runner()
        self.history: dict[int, dict[int, tuple[Any, ...]]] = {}

    @initialize(annotations=st.lists(MARKS, max_size=12))
    def begin(self, annotations: list[tuple[int, str, int | None, bool]]) -> None:
        self.open = engine.connect(self.url, replace(LIMITS, readers=2, writers=2))
        self.database = self.runner.run(self.open.__aenter__())
        name = f"d{id(self)}-{self.runner.run(self._one('SELECT count(*) FROM dataset'))}"
        made = self.runner.run(make(self.database, samples=SAMPLES, labels=("a", "b"), name=name, **BOXES))
        self.dataset, self.order, self.labels = made.id, [*made.samples, 0], dict(made.labels)
        self.samples = {id: Sample() for id in made.samples}
        self.revision = 1
        self._compare()
        for annotation in annotations:
            self._other(*annotation)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            try:
                for revision, expected in self.history.items():
                    assert self.runner.run(self._rows(AT, self.dataset, revision)) == expected, f"revision {revision}"
            finally:
                self.runner.run(self.open.__aexit__(None, None, None))
        self.runner.close()

    @rule(positions=PLACES, names=NAMES, mode=st.sampled_from(["ADD", "SET", "REMOVE"]), create=st.booleans(), by=WHO)
    def label_by_ids(self, positions: tuple[int, ...], names: list[str], mode: Any, create: bool, by: Any) -> None:
        ids = [self.order[position] for position in positions]
        self._label(Selection(ids=ids), {id for id in ids if id in self.samples}, names, mode, create, by, bool(ids))

    @rule(data=st.data(), names=NAMES, mode=st.sampled_from(["ADD", "SET", "REMOVE"]), by=WHO)
    def label_by_filter(self, data: Any, names: list[str], mode: Any, by: Any) -> None:
        filter_, found = self._filter(data)
        self._label(Selection(filter=filter_), found, names, mode, False, by, True)

    @rule(data=st.data(), before=st.sampled_from(WORDS), after=st.sampled_from(WORDS), create=st.booleans(), by=WHO)
    def replace(self, data: Any, before: str, after: str, create: bool, by: Any) -> None:
        filter_, found = self._filter(data)
        how = ReplaceWith(before=before, after=after, create_missing=create)
        possible = before in self.labels and (after in self.labels or create)
        outcome = self._do(lambda session: replace_label(session, self.dataset, Selection(filter=filter_), how, by=by))
        if not possible:
            assert outcome == "LABEL_NOT_FOUND"
            self._compare()
            return
        changed = {id for id in found if before in self.samples[id].names()} if before != after else set()
        assert (outcome.matched, outcome.changed) == (len(found), len(changed))
        self.runner.run(self._learn([after] if changed else []))
        for id in changed:
            self.samples[id].replace(before, after, by.name)
            self.samples[id].set_author(by.name)
        self._changed(bool(changed))

    @rule(position=st.integers(0, SAMPLES), data=st.data(), create=st.booleans(), by=WHO)
    def annotate(self, position: int, data: Any, create: bool, by: Any) -> None:
        id = self.order[position]
        rows = self.runner.run(self._marked(id))
        known = st.none() | st.sampled_from(range(len(rows))) if rows else st.none()
        updated, removed = data.draw(known, label="updated"), data.draw(known, label="removed")
        edit = AnnotationEdit(
            data.draw(st.lists(st.tuples(st.sampled_from(WORDS), LEFT), max_size=3), label="added"),
            updated,
            data.draw(st.tuples(st.none() | st.sampled_from(WORDS), LEFT), label="to"),
            removed,
        )
        how = AnnotateWith(create_missing=create)
        requested = Edit(
            id,
            [Addition(name, box(left)) for name, left in edit.add],
            () if updated is None else [Update(rows[updated], edit.to[0], box(edit.to[1]))],
            () if removed is None else [rows[removed]],
        )
        outcome = self._do(lambda session: annotate(session, self.dataset, [requested], how, by=by))
        missing = sorted(edit.names() - self.labels.keys())
        if (missing and not create) or (updated is not None and updated == removed):
            assert outcome == ("LABEL_NOT_FOUND" if missing and not create else "VALIDATION_FAILED")
            self._compare()
            return
        sample = self.samples.get(id)
        changed = sample is not None and sample.annotated(edit, by.name)
        assert (outcome.matched, outcome.changed) == (sample is not None, changed)
        if sample is not None and changed:
            self.runner.run(self._learn(missing))
            sample.set_author(by.name)
        self._changed(changed)

    @rule(name=st.sampled_from(WORDS), to=st.sampled_from(WORDS), merge=st.booleans(), dry=st.booleans())
    @precondition(lambda self: self.labels)
    def rename(self, name: str, to: str, merge: bool, dry: bool) -> None:
        label_id = self.labels.get(name, 0)
        conflict: Any = "MERGE" if merge else "ERROR"
        outcome = self._do(
            lambda session: labels.rename(session, label_id, to=to, by=ANN, on_conflict=conflict, dry_run=dry)
        )
        if name not in self.labels:
            assert outcome == "LABEL_NOT_FOUND"
        elif to != name and to in self.labels and not merge:
            assert outcome == "LABEL_ALREADY_EXISTS"
        elif to == name or dry:
            assert outcome.change is None
        else:
            self._renamed(name, to, outcome)
        self._compare()

    def _renamed(self, name: str, to: str, outcome: Any) -> None:
        survivor = self.labels.pop(name) if to not in self.labels else self.labels[to]
        merged = to in self.labels
        self.labels.pop(name, None)
        self.labels[to] = survivor
        carrying = [s for s in self.samples.values() if name in (s.names() | s.suggested() if merged else s.names())]
        assert (outcome.label, outcome.affected_samples) == (survivor, len(carrying))
        for sample in self.samples.values():
            if merged and name in sample.names() | sample.suggested():
                sample.replace(name, to, None)
                sample.set_author(None)
            for annotation in sample.annotations:
                annotation.label = to if annotation.label == name else annotation.label
        self.revision += 1

    @rule(
        names=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True),
        mode=st.sampled_from(["LABEL_ONLY", "LABEL_AND_SAMPLES", "LABEL_SAMPLES_AND_SOURCES"]),
        dry=st.booleans(),
    )
    def delete_labels(self, names: list[str], mode: Any, dry: bool) -> None:
        ids = [self.labels.get(name, 0) for name in names]
        outcome = self._do(lambda session: labels.delete(session, ids, mode=mode, by=ANN, dry_run=dry))
        if not set(names) <= self.labels.keys():
            assert outcome == "LABEL_NOT_FOUND"
            self._compare()
            return
        affected = {id for id, s in self.samples.items() if (s.names() | s.suggested()) & set(names)}
        going = {id for id in affected if self.samples[id].names() and self.samples[id].names() <= set(names)}
        going = going if mode != "LABEL_ONLY" else set()
        assert (outcome.affected_samples, outcome.deleted_samples) == (len(affected), len(going))
        if not dry:
            for name in names:
                del self.labels[name]
            for id in going:
                del self.samples[id]
            for id in affected - going:
                self.samples[id].annotations = [m for m in self.samples[id].annotations if m.label not in names]
                self.samples[id].set_author(None)
        self._changed(not dry)

    @rule(positions=PLACES, sources=st.booleans(), dry=st.booleans())
    def delete_samples(self, positions: tuple[int, ...], sources: bool, dry: bool) -> None:
        ids = [self.order[position] for position in positions]
        found = {id for id in ids if id in self.samples}
        outcome = self._do(
            lambda session: delete(
                session, self.dataset, Selection(ids=ids), by=ANN, delete_sources=sources, dry_run=dry
            )
        )
        if not ids:
            assert outcome == "EMPTY_SELECTION"
            self._compare()
            return
        assert outcome.deleted == len(found)
        for id in found if not dry else ():
            del self.samples[id]
        self._changed(bool(found) and not dry)

    @rule(names=st.lists(st.sampled_from(WORDS), min_size=1, max_size=2))
    def create_labels(self, names: list[str]) -> None:
        values = [LabelValues(name) for name in names]
        outcome = self._do(lambda session: labels.create(session, self.dataset, values, by=ANN))
        if len(set(names)) < len(names) or set(names) & self.labels.keys():
            assert outcome == "LABEL_ALREADY_EXISTS"
            self._compare()
            return
        self.labels |= dict(zip(names, outcome.labels, strict=True))
        self._changed(True)

    @rule(annotation=MARKS)
    def others_annotate(self, annotation: tuple[int, str, int | None, bool]) -> None:
        """A model's suggestions, and a sync's shapes: what no mutation makes, and every mutation must live with."""
        self._other(*annotation)

    @rule(index=st.sampled_from(["annotation_label", "annotation_pkey", "annotation_sample"]))
    def postgres_maintains(self, index: str) -> None:
        """Other plans, and another order of the rows on disk: nothing may come of it."""
        self.runner.run(self._maintain(index))
        self._compare()

    async def _maintain(self, index: str) -> None:
        async with self.database.writing() as session:
            connection = await connection_of(session)
            await connection.execute(f"CLUSTER annotation USING {index}; ANALYZE annotation, label, sample")

    def _other(self, position: int, name: str, left: int | None, confirmed: bool) -> None:
        id = self.order[position]
        sample = self.samples.get(id)
        if sample is None or name not in self.labels:
            return
        if left is None and any(annotation.label == name for annotation in sample.annotations):
            return
        sample.annotations.append(Annotation(name, "model", confirmed, left))
        if confirmed:
            sample.labeled_by, sample.origin = "model", "MODEL"
        self.runner.run(self._annotate(id, self.labels[name], left, confirmed))
        self._changed(True)

    async def _annotate(self, id: int, label_id: int, left: int | None, confirmed: bool) -> None:
        async with self.database.writing() as session:
            change = await changes.record(session, self.dataset, kind="SYNC", actor="model", summary="x")
            connection = await connection_of(session)
            await connection.execute(
                """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confirmed, shape, since)
                VALUES ($1, $2, $3, 'model', 'MODEL', $4, $5::jsonb, $6)""",
                self.dataset, id, label_id, confirmed, stored(left), change.revision,
            )  # fmt: skip
            await connection.execute(
                """UPDATE sample s SET since = $2,
                   label_ids = ARRAY(
                       SELECT DISTINCT label_id FROM annotation WHERE sample_id = $1 AND confirmed ORDER BY 1),
                   state = CASE WHEN $3 OR label_ids <> '{}' THEN 'LABELED' ELSE 'PENDING' END,
                   labeled_by = CASE WHEN $3 THEN 'model' ELSE labeled_by END,
                   labeled_at = CASE WHEN $3 THEN now() ELSE labeled_at END,
                   labeled_origin = CASE WHEN $3 THEN 'MODEL' ELSE labeled_origin END
                WHERE id = $1""",
                id, change.revision, confirmed,
            )  # fmt: skip
            await connection.execute(DERIVE)

    def _label(
        self, selection: Selection, found: set[int], names: list[str], mode: Any, create: bool, by: Any, some: bool
    ) -> None:
        how = LabelWith(labels=names, mode=mode, create_missing=create)
        outcome = self._do(lambda session: label(session, self.dataset, selection, how, by=by))
        missing = [name for name in names if name not in self.labels]
        if missing and not create:
            assert outcome == "LABEL_NOT_FOUND"
            self._compare()
            return
        if not some:
            assert outcome == "EMPTY_SELECTION"
            self._compare()
            return
        requested, changed = set(names), set()
        for id in found:
            sample = self.samples[id]
            is_so = {
                "ADD": requested <= sample.names(),
                "SET": sample.names() == requested and not sample.suggested(),
                "REMOVE": not (sample.names() | sample.suggested()) & requested,
            }[mode]
            if not is_so:
                changed.add(id)
        assert (outcome.matched, outcome.changed) == (len(found), len(changed))
        if mode != "REMOVE" and changed and missing:
            self.runner.run(self._learn(missing))
        for id in changed:
            sample = self.samples[id]
            if mode != "ADD":
                sample.annotations = [m for m in sample.annotations if (m.label in requested) == (mode == "SET")]
            if mode != "REMOVE":
                sample.add_labels(sorted(requested, key=self.labels.__getitem__), by.name)
            sample.set_author(by.name)
        self._changed(bool(changed))

    async def _learn(self, names: list[str]) -> None:
        for name in names:
            statement = f"SELECT id FROM label WHERE dataset_id = {self.dataset} AND name = '{name}'"
            self.labels[name] = await self._one(statement)

    def _filter(self, data: Any) -> tuple[SampleFilter, set[int]]:
        names = data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2), label="names")
        match = data.draw(st.sampled_from(["ANY", "ALL", "NONE", "EVERY"]), label="match")
        holds: dict[str, Callable[[Any], bool]] = {
            "ANY": lambda sample: bool(sample.names() & set(names)),
            "ALL": lambda sample: sample.names() >= set(names),
            "NONE": lambda sample: not sample.names() & set(names),
            "EVERY": lambda sample: True,
        }
        found = {id for id, sample in self.samples.items() if holds[match](sample)}
        return SampleFilter(labels=LabelFilter(names, match) if match != "EVERY" else None), found

    def _do(self, work: Any) -> Any:
        try:
            return self.runner.run(write(self.database, work, object))
        except DomainError as refused:
            return refused.code

    def _changed(self, changed: bool) -> None:
        self.revision += changed
        self._compare()

    def _compare(self) -> None:
        expected = {id: sample.rows() for id, sample in self.samples.items()}
        assert self.runner.run(self._rows(LIVE, self.dataset)) == expected
        assert self.runner.run(self._check()) == []
        assert self.runner.run(self._one(f"SELECT revision FROM dataset WHERE id = {self.dataset}")) == self.revision
        self.history[self.revision] = deepcopy(expected)

    async def _rows(self, statement: str, *arguments: Any) -> dict[int, tuple[Any, ...]]:
        async with self.database.reading() as reader:
            rows = await reader.fetch(statement, *arguments)
        return {row["id"]: (row["labeled_by"], row["labeled_origin"], row["annotations"]) for row in rows}

    async def _marked(self, sample: int) -> list[int]:
        async with self.database.reading() as reader:
            return [row["id"] for row in await reader.fetch(MARKED, sample)]

    async def _one(self, statement: str) -> Any:
        async with self.database.reading() as reader:
            return await reader.fetchval(statement)

    async def _check(self) -> list[str]:
        async with self.database.reading() as reader:
            return await check.recount(reader, self.dataset)


def box(left: int | None) -> BoundingBox | None:
    return None if left is None else BoundingBox(left, 0, left + 1, 1)


def stored(left: int | None) -> str | None:
    shape = box(left)
    return None if shape is None else orjson.dumps(to_json(shape)).decode()


@pytest.mark.slow
def test_every_history_of_writes_is_as_the_model_says(database_url: str) -> None:
    health = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    phases = [Phase.explicit, Phase.reuse, Phase.generate]  # to shrink a history takes minutes
    bounds = settings(
        max_examples=max(1, OPERATIONS // STEPS),
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=health,
        phases=phases,
    )
    run_state_machine_as_test(lambda: Writes(database_url), settings=bounds)  # type: ignore[arg-type]
