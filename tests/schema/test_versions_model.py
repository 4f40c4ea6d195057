"""Histories of labelling, deleting, publishing, switching and undoing, generated, and compared with a plain model: the
working set after every step, every version at the end, under filters and against each other."""

import asyncio
import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from api.settings import Settings
from db.datasets import check
from db.identity.tokens import Identity, Scope
from db.postgres import engine
from schema import build_schema
from tests.client import Direct
from tests.db.dataset_rows import make
from tests.db.history_model import Change, HistoryModel, PublishedVersion, State
from tests.schema.version_fixture import in_version, number
from tests.waiting import LIMITS

OPERATIONS = int(os.environ.get("LABELGRAPH_TEST_OPERATIONS", "600"))
STEPS = 40
SAMPLES = 5
WORDS = ["a", "b", "c", "d"]

NAMED = "labels { name }"
FACETS = "facets { states { value count } labels { count label { name } } }"
ANNOTATION = "label { name } isConfirmed model { name modelVersion } shape { ... on BoundingBox { xMin } }"
STATE = f"""
    statistics {{ totalCount labeledCount unlabeledCount pendingCount }}
    labels {{ id name sampleCount annotationCount suggestionCount }}
    samples(first: 100) {{ totalCount nodes {{ id state labels {{ name }}
        annotations {{ {ANNOTATION} }} }} {FACETS} }}
    matched: samples(filter: {{changedSince: -1}}) {{ {FACETS} }}
    labeledA: samples(filter: {{labels: {{names: ["a"]}}}}) {{ totalCount }}
"""
HEAD = "revision hasUnpublishedChanges currentVersion { id }"
SCHEMA = build_schema()


LABELS = st.lists(st.sampled_from(WORDS), max_size=3, unique=True)
POSITIONS = st.lists(st.integers(0, SAMPLES - 1), min_size=1, max_size=4, unique=True)


class Histories(RuleBasedStateMachine):
    kind: ClassVar[Mapping[str, Any]] = {}  # what else the dataset is made of

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.runner = url, asyncio.Runner()
        self.changes: list[Change] = []
        self.versions: dict[str, PublishedVersion] = {}
        self.named = 0
        self.tokens = count(1)

    @initialize()
    def begin(self) -> None:
        self.open = engine.connect(self.url, replace(LIMITS, readers=2, writers=2))
        database = self.runner.run(self.open.__aenter__())
        made = self.runner.run(make(database, samples=SAMPLES, labels=("a", "b"), name=f"d{id(self)}", **self.kind))
        self.direct = Direct(SCHEMA, database, Identity("ann", Scope.MANAGE, token_id=1), Settings())
        self.id, self.dataset, self.order = made.id, f"Dataset:{made.id}", made.samples
        self.model = HistoryModel(State({id: name for name, id in made.labels.items()}, frozenset(made.samples)))

    def teardown(self) -> None:
        if hasattr(self, "direct"):
            try:
                for version in self.versions:
                    self._check_version(version)
            finally:
                self._run("mutation ($d: ID!) { deleteDataset(input: {datasetId: $d}) { deletedDatasetId } }")
                self.runner.run(self.open.__aexit__(None, None, None))
        self.runner.close()

    # -- labelling ----------------------------------------------------------------------------------------------------

    @rule(positions=POSITIONS, names=LABELS, mode=st.sampled_from(["ADD", "SET", "REMOVE"]))
    def label(self, positions: list[int], names: list[str], mode: str) -> None:
        state = self.model.state
        payload = self._mutate(
            "labelSamples",
            "change { id }",
            datasetId=self.dataset,
            select={"ids": [f"Sample:{self.order[position]}" for position in positions]},
            labels=names,
            mode=mode,
        )
        given = {id for id, name in state.labels.items() if name in names}
        if len(given) < len(names):
            assert payload == "LABEL_NOT_FOUND"
            return
        after, stamp = state, self.model.revision
        for position in positions:
            after = after.labelled(self.order[position], given, mode, self.tokens, stamp)
        self._done(payload["change"], after)

    @rule(name=st.sampled_from(WORDS))
    def create_label(self, name: str) -> None:
        payload = self._mutate(
            "createLabels", "labels { id } dataset { revision }", datasetId=self.dataset, labels=[{"name": name}]
        )
        state = self.model.state
        if name in state.labels.values():
            assert payload == "LABEL_ALREADY_EXISTS"
            return
        made = int(payload["labels"][0]["id"].split(":")[1])
        self._done({"id": self._latest()}, replace(state, labels={**state.labels, made: name}))

    @rule(name=st.sampled_from(WORDS), to=st.sampled_from([*WORDS, "e"]), merge=st.booleans())
    def rename(self, name: str, to: str, merge: bool) -> None:
        state = self.model.state
        ids = {known: id for id, known in state.labels.items()}
        if name not in ids:
            return
        conflict = "MERGE" if merge else "ERROR"
        payload = self._mutate(
            "renameLabel", "change { id }", labelId=f"Label:{ids[name]}", name=to, onConflict=conflict
        )
        if to == name:
            assert payload["change"] is None
        elif to not in ids:
            self._done(payload["change"], replace(state, labels={**state.labels, ids[name]: to}))
        elif merge:
            self._done(payload["change"], state.merged(ids[name], ids[to]))
        else:
            assert payload == "LABEL_ALREADY_EXISTS"

    @rule(names=st.lists(st.sampled_from(WORDS), min_size=1, max_size=2, unique=True), samples=st.booleans())
    def delete_labels(self, names: list[str], samples: bool) -> None:
        state = self.model.state
        gone = {id for id, name in state.labels.items() if name in names}
        if not gone:
            return
        payload = self._mutate(
            "deleteLabels",
            "change { id }",
            labelIds=[f"Label:{id}" for id in gone],
            mode="LABEL_AND_SAMPLES" if samples else "LABEL_ONLY",
        )
        going = {each for each in state.samples if state.labels_on(each) and state.labels_on(each) <= gone}
        self._done(payload["change"], state.without_samples(going if samples else set()).without_labels(gone))

    @rule(positions=POSITIONS)
    def delete_samples(self, positions: list[int]) -> None:
        ids = {self.order[position] for position in positions}
        payload = self._mutate(
            "deleteSamples",
            "change { id }",
            datasetId=self.dataset,
            select={"ids": [f"Sample:{id}" for id in ids]},
        )
        self._done(payload["change"], self.model.state.without_samples(ids))

    # -- versions -----------------------------------------------------------------------------------------------------

    @rule()
    def publish(self) -> None:
        payload = self._mutate("publishVersion", "version { id name parent { id } }", datasetId=self.dataset)
        model = self.model
        if not model.state.samples:
            assert payload == "EMPTY_VERSION"
            return
        version = payload["version"]
        self.named += 1
        assert version["name"] == f"V{self.named:03d}"
        assert (version["parent"] or {}).get("id") == model.current
        self.versions[version["id"]] = PublishedVersion(version["name"], model.state, model.current, model.revision)
        model.current, model.clean_at = version["id"], model.revision

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), discard=st.booleans())
    def switch(self, data: Any, discard: bool) -> None:
        version = data.draw(st.sampled_from(sorted(self.versions)), label="version")
        before, was_clean = self.model.current, self._is_clean()
        revision = self.model.revision
        payload = self._mutate(
            "setCurrentVersion",
            "dataset { revision }",
            versionId=version,
            onUnpublished="DISCARD" if discard else "ERROR",
        )
        if not discard and not was_clean:
            assert payload == "UNPUBLISHED_CHANGES"
            return
        if payload["dataset"]["revision"] != revision:
            self._done({"id": self._latest()}, self.versions[version].state, left=(before, was_clean))
        self.model.current, self.model.clean_at = version, self.model.revision

    @precondition(lambda self: len(self.versions) > 2)
    @rule(data=st.data())
    def delete_version(self, data: Any) -> None:
        version = data.draw(st.sampled_from(sorted(self.versions)), label="version")
        self._mutate("deleteVersion", "deletedVersionId", versionId=version)
        del self.versions[version]
        for other in self.versions.values():
            other.parent = None if other.parent == version else other.parent
        if self.model.current == version:
            self.model.current = None

    @precondition(lambda self: self.changes)
    @rule(data=st.data())
    def undo(self, data: Any) -> None:
        position = data.draw(st.integers(1, min(len(self.changes), 8)), label="how long ago")
        self._undo(self.changes[-position])

    @precondition(lambda self: self.changes)
    @rule()
    def undo_last(self) -> None:
        assert self._undo(self.changes[-1])

    def _undo(self, change: Change) -> bool:
        answer = self._answer("undoChange", "change { id }", changeId=change.id)
        after = self.model.state.undone(change.before, change.after)
        if after is None:
            [error] = answer["errors"]
            assert error["extensions"]["code"] == "CONFLICT"
            later = [each.id for each in self.changes[self.changes.index(change) + 1 :]]
            assert set(error["extensions"]["details"]["changes"]) <= set(later)
            assert error["extensions"]["details"]["changes"]
            return False
        assert "errors" not in answer, answer
        self._undone(change, answer["data"]["undoChange"]["change"], after)
        return True

    def _undone(self, change: Change, made: dict[str, str], after: State) -> None:
        model, was_last = self.model, change is self.changes[-1]
        before, was_clean, base = model.current, self._is_clean(), model.clean_at
        self._done(made, after, left=None if change.left is None else (before, was_clean))
        if change.left is not None:
            known = change.left[0] if change.left[0] in self.versions else None
            model.current, model.clean_at = known, model.revision if change.left[1] and was_last else 0
        elif was_last and before is not None and base == model.revision - 2:
            model.clean_at = model.revision

    # -- reading ------------------------------------------------------------------------------------------------------

    @invariant()
    def the_working_set_is_the_model(self) -> None:
        if not hasattr(self, "direct"):
            return
        dataset = self._run("query ($d: ID!) { dataset(by: {id: $d}) { %s %s } }" % (STATE, HEAD))["dataset"]  # noqa: UP031
        _compare(dataset, self.model.state)
        assert dataset["revision"] == self.model.revision
        assert (dataset["currentVersion"] or {}).get("id") == self.model.current
        assert dataset["hasUnpublishedChanges"] == (not self._is_clean())
        assert self.runner.run(self._recount()) == []

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), names=LABELS, match=st.sampled_from(["ANY", "ALL", "NONE"]))
    def filter_a_version(self, data: Any, names: list[str], match: str) -> None:
        version = data.draw(st.sampled_from(sorted(self.versions)), label="version")
        filter_ = {"labels": {"names": names, "match": match}}
        query = """query ($v: ID!, $f: SampleFilter) { node(id: $v) { ... on Version {
            samples(first: 100, filter: $f) { totalCount nodes { id labels { name } usage } } } } }"""
        samples = self._run(query, v=version, f=filter_)["node"]["samples"]
        label_names = {
            in_version(f"Sample:{id}", version): has
            for id, has in self.versions[version].state.label_names().items()
            if holds(match, has, names)
        }
        assert {each["id"]: [label["name"] for label in each["labels"]] for each in samples["nodes"]} == label_names
        assert samples["totalCount"] == len(label_names)
        assert {each["id"] for each in samples["nodes"] if each["usage"] == "TRAIN"} == {
            i for i in label_names if label_names[i]
        }

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def compare_two(self, data: Any) -> None:
        base = data.draw(st.sampled_from(sorted(self.versions)), label="base")
        head = data.draw(st.sampled_from([*sorted(self.versions), None]), label="head")
        query = """query ($d: ID!, $b: ID!, $h: ID) { dataset(by: {id: $d}) { comparison(baseId: $b, headId: $h) {
            addedCount removedCount relabeledCount changes(first: 100) { totalCount
                nodes { kind addedLabelNames removedLabelNames sample { id labels { name } } } } } } }"""
        found = self._run(query, b=base, h=head)["dataset"]["comparison"]
        early, late = self.versions[base].state, self.versions[head].state if head else self.model.state
        expected = early.compared(late)
        nodes = found["changes"]["nodes"]
        for each in nodes:
            state = base if each["kind"] == "REMOVED" else head
            assert each["sample"]["id"] == in_version(f"Sample:{number(each['sample']['id'])}", state)
        assert {
            number(each["sample"]["id"]): (each["kind"], each["addedLabelNames"], each["removedLabelNames"])
            for each in nodes
        } == expected
        assert found["changes"]["totalCount"] == len(expected) == len(nodes)
        for kind in ("ADDED", "REMOVED", "RELABELED"):
            assert found[f"{kind.lower()}Count"] == sum(each[0] == kind for each in expected.values())
        for each in nodes:
            shown = early if each["kind"] == "REMOVED" else late
            label_names = shown.label_names()[number(each["sample"]["id"])]
            assert [label["name"] for label in each["sample"]["labels"]] == label_names

    def _check_version(self, id: str) -> None:
        known = self.versions[id]
        query = "query ($v: ID!) { node(id: $v) { ... on Version { name isCurrent parent { id } %s } } }" % STATE  # noqa: UP031
        version = self._run(query, v=id)["node"]
        _compare(version, known.state, id)
        assert (version["name"], (version["parent"] or {}).get("id")) == (known.name, known.parent)
        assert version["isCurrent"] == (id == self.model.current)

    # -- speaking to it -----------------------------------------------------------------------------------------------

    def _mutate(self, field: str, selection: str, **input: Any) -> Any:
        """The payload, or the code of the refusal."""
        answer = self._answer(field, selection, **input)
        return answer["errors"][0]["extensions"]["code"] if "errors" in answer else answer["data"][field]

    def _answer(self, field: str, selection: str, **input: Any) -> Any:
        kind = field[0].upper() + field[1:] + "Input"
        query = f"mutation ($input: {kind}!) {{ {field}(input: $input) {{ {selection} }} }}"
        return self.runner.run(self.direct.answer(query, {"input": input}))

    def _run(self, query: str, **variables: Any) -> Any:
        known = {"d": self.dataset} if "$d" in query else {}
        return self.runner.run(self.direct.execute(query, known | variables))

    def _latest(self) -> str:
        query = "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 1) { nodes { id } } } }"
        return str(self._run(query)["dataset"]["changes"]["nodes"][0]["id"])

    async def _recount(self) -> list[str]:
        async with self.direct.database.reading() as reader:
            return await check.recount(reader, self.id)

    def _is_clean(self) -> bool:
        return self.model.revision == (self.model.clean_at if self.model.current is not None else 0)

    def _done(self, change: dict[str, str] | None, after: State, left: tuple[str | None, bool] | None = None) -> None:
        if change is None:
            assert after == self.model.state
            return
        self.changes.append(Change(change["id"], self.model.state, after, left))
        self.model.state = after
        self.model.revision += 1


def _compare(answer: Any, state: State, version: str | None = None) -> None:
    """`version`: the id of the version that was read; None for the working set."""
    label_names = {in_version(f"Sample:{id}", version): names for id, names in state.label_names().items()}
    nodes = answer["samples"]["nodes"]
    assert {each["id"]: [label["name"] for label in each["labels"]] for each in nodes} == label_names
    assert {node["id"]: sorted(map(_drawn, node["annotations"])) for node in nodes} == {
        in_version(f"Sample:{id}", version): annotations for id, annotations in state.drawn().items()
    }
    states = {in_version(f"Sample:{id}", version): state.sample_state(id) for id in state.samples}
    assert {node["id"]: node["state"] for node in nodes} == states
    assert answer["samples"]["totalCount"] == len(label_names)
    counts = Counter(states.values())
    assert answer["statistics"] == {
        "totalCount": len(label_names),
        "labeledCount": counts["LABELED"],
        "unlabeledCount": counts["UNLABELED"],
        "pendingCount": counts["PENDING"],
    }
    numbers = ("sampleCount", "annotationCount", "suggestionCount")
    assert [
        (number(each["id"]), each["name"], *(each[name] for name in numbers)) for each in answer["labels"]
    ] == state.counts()
    _compare_counts(answer, label_names.values(), counts)


def _compare_counts(answer: Any, label_names: Collection[Collection[str]], states: Counter[str]) -> None:
    """Those that are kept, and those that are counted in an index."""
    counts = Counter(name for names in label_names for name in names)
    for facets in (answer["samples"]["facets"], answer["matched"]["facets"]):
        found = [(each["label"]["name"], each["count"]) for each in facets["labels"]]
        assert found == sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        assert {each["value"]: each["count"] for each in facets["states"]} == states
    assert answer["labeledA"]["totalCount"] == counts["a"]


def _drawn(annotation: Any) -> tuple[str, int, bool, str]:
    model = annotation["model"]
    left = int((annotation["shape"] or {"xMin": 0})["xMin"])
    name = f"{model['name']} {model['modelVersion']}" if model else ""
    return annotation["label"]["name"], left, annotation["isConfirmed"], name


def run_histories(machine: type[Histories], url: str, operations: int) -> None:
    health = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    phases = [Phase.explicit, Phase.reuse, Phase.generate]  # to shrink a history takes minutes
    bounds = settings(
        max_examples=max(1, operations // STEPS),
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=health,
        phases=phases,
    )
    run_state_machine_as_test(lambda: machine(url), settings=bounds)  # type: ignore[arg-type]


@pytest.mark.slow
def test_every_version_of_every_history_is_as_the_model_says(database_url: str) -> None:
    run_histories(Histories, database_url, OPERATIONS)


def holds(match: str, has: Collection[str], names: Collection[str]) -> bool:
    both = set(has) & set(names)
    if not names:
        return True  # no names are no condition
    return {"ANY": bool(both), "ALL": both == set(names), "NONE": not both}[match]
