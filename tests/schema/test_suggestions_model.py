"""The histories of labels, versions and undoing once more, among models that suggest and people who decide: what comes
of each suggestion is as a plain model says, and so are the records of the models."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from db.history import changes
from db.labelling import annotations
from db.labelling.samples.selection import LockedSamples
from db.postgres import sql
from tests.db.history_model import Annotation, State
from tests.schema.test_versions_model import OPERATIONS, POSITIONS, WORDS, Histories, run_histories

POSITION = st.integers(0, 2)  # few samples and labels, that suggestions and decisions meet
FEW = st.lists(POSITION, min_size=1, max_size=3, unique=True)
NAME = st.sampled_from(WORDS[:3])
MODELS = st.sampled_from(["m 1", "m 2", "n 1"])  # name and version
CONFIDENCE = st.sampled_from([0.25, 0.5, 0.75])
UNDONE = st.integers(0, 3)
GIVEN = st.dictionaries(NAME, CONFIDENCE, max_size=2)
RECORD = """
    models(first: 10) { nodes { name modelVersion suggestedCount pendingCount acceptedCount rejectedCount correctedCount
        precision labels { label { id } pendingCount acceptedCount rejectedCount correctedCount precision } } }
"""
OUTCOMES = {"PENDING": "pendingCount", "ACCEPTED": "acceptedCount", "REJECTED": "rejectedCount"}
OUTCOMES |= {"CORRECTED": "correctedCount"}


class Suggestions(Histories):
    @rule(positions=FEW, given=GIVEN, model=MODELS, alone=st.booleans())
    def suggest(self, positions: list[int], given: dict[str, float], model: str, alone: bool) -> None:
        name, version = model.split()
        annotations = [{"label": label, "confidence": confidence} for label, confidence in given.items()]
        payload = self._mutate(
            "suggestAnnotations",
            "change { id } changedCount suggestedCount keptCount rejectedBeforeCount",
            datasetId=self.dataset,
            model={"name": name, "modelVersion": version},
            samples=[{"sampleId": f"Sample:{self.order[each]}", "annotations": annotations} for each in positions],
            replace=alone,
        )
        state, ids = self.model.state, self._ids(given)
        if len(ids) < len(given):
            assert payload == "LABEL_NOT_FOUND"
            return
        by_label = {ids[label]: confidence for label, confidence in given.items()}
        after = state
        for position in positions:
            sample, stamp = self.order[position], self.model.revision
            after = after.suggested(sample, by_label, model, self.tokens, stamp, alone=alone)
        changed = {each for each in state.samples if after.on(each) != state.on(each)}
        there = [self.order[each] for each in positions if self.order[each] in state.samples]
        pairs = [(sample, label) for sample in there for label in by_label]
        kept = [(sample, label) for sample, label in pairs if label in state.labels_on(sample)]
        waiting = [
            (sample, label)
            for sample, label in pairs
            if any(each.model == model and not each.confirmed for each in after.on(sample, label).values())
        ]
        assert payload["changedCount"] == len(changed)
        assert (payload["suggestedCount"], payload["keptCount"]) == (len(waiting), len(kept))
        assert payload["rejectedBeforeCount"] == len(pairs) - len(waiting) - len(kept)
        self._done(payload["change"], after)

    @rule(
        positions=st.none() | POSITIONS,
        names=st.lists(NAME, max_size=1),
        models=st.lists(MODELS, max_size=1),
        bounds=st.tuples(st.none() | CONFIDENCE, st.none() | CONFIDENCE),
        decision=st.sampled_from(["ACCEPT", "REJECT"]),
        dry=st.booleans(),
    )
    def decide(
        self,
        positions: list[int] | None,
        names: list[str],
        models: list[str],
        bounds: tuple[float | None, float | None],
        decision: str,
        dry: bool,
    ) -> None:
        state, (lowest, highest), ids = self.model.state, bounds, self._ids(names)
        chosen = None if positions is None else [f"Sample:{self.order[position]}" for position in positions]
        payload = self._mutate(
            "decideSuggestions",
            "change { id } suggestionCount sampleCount",
            datasetId=self.dataset,
            select={"all": True} if chosen is None else {"ids": chosen},
            labels=names or None,
            models=[dict(zip(("name", "modelVersion"), each.split(), strict=True)) for each in models] or None,
            minConfidence=lowest,
            maxConfidence=highest,
            decision=decision,
            dryRun=dry,
        )
        if payload == "VALIDATION_FAILED":
            assert lowest is not None
            assert highest is not None
            assert lowest > highest
            return
        if payload in ("LABEL_NOT_FOUND", "NOT_FOUND"):
            assert len(ids) < len(names) or models[0] not in self._known()
            return

        def is_meant(each: Annotation) -> bool:
            return (
                not each.confirmed
                and (not ids or each.label in ids.values())
                and (not models or each.model in models)
                and (lowest is None or (each.confidence is not None and each.confidence >= lowest))
                and (highest is None or (each.confidence is not None and each.confidence <= highest))
            )

        samples = state.samples if positions is None else {self.order[each] for each in positions}
        meant = {token: each for token, each in state.annotations.items() if each.sample in samples and is_meant(each)}
        touched = {each.sample for each in meant.values()}
        assert (payload["suggestionCount"], payload["sampleCount"]) == (len(meant), len(touched))
        after = state
        for sample in touched if decision == "ACCEPT" else ():
            after = after.confirmed(sample, self.model.revision, is_meant)
        for token in meant if decision == "REJECT" else ():
            after = after.judged(token, "REJECTED").without(token)
        self._done(payload["change"], state if dry else after)

    @rule(position=POSITION, name=NAME, then=st.sampled_from(["ACCEPT", "REJECT", "ADD", "CLEAR"]), undone=UNDONE)
    def models_agree(self, position: int, name: str, then: str, undone: int) -> None:
        for model in ("m 1", "n 1"):
            self.suggest([position], {name: 0.5}, model, True)
        if then in ("ACCEPT", "REJECT"):
            self.decide([position], [], [], (None, None), then, False)
        else:
            self.label([position], [name], "ADD")
        if then == "CLEAR":
            self.label([position], [], "SET")
        for _ in range(undone if self.changes else 0):  # and done again
            self.the_records_of_models_are_the_model()
            self.undo_last()

    @precondition(lambda self: self.model.revision % 4 == 0)
    @rule(positions=FEW)
    def delete_samples(self, positions: list[int]) -> None:
        super().delete_samples(positions)

    @precondition(lambda self: self.model.revision % 3 == 0)
    @rule(names=st.lists(NAME, min_size=1, max_size=2, unique=True), samples=st.booleans())
    def delete_labels(self, names: list[str], samples: bool) -> None:
        super().delete_labels(names, samples)

    @rule(position=POSITION, data=st.data(), name=st.none() | NAME)
    def update(self, position: int, data: Any, name: str | None) -> None:
        self._edit(position, data, name, lambda state, token, label: state.updated(token, label, self.model.revision))

    @rule(position=POSITION, data=st.data())
    def remove(self, position: int, data: Any) -> None:
        self._edit(position, data, None, lambda state, token, _label: state.removed(token), remove=True)

    @rule(positions=POSITIONS, before=NAME, to=NAME)
    def replace_label(self, positions: list[int], before: str, to: str) -> None:
        state, ids = self.model.state, self._ids([before, to])
        if len(ids) < len({before, to}):
            return
        chosen = [f"Sample:{self.order[position]}" for position in positions]
        payload = self._mutate(
            "replaceSampleLabel",
            "change { id }",
            datasetId=self.dataset,
            select={"ids": chosen},
            **{"from": before, "to": to},
        )
        for position in positions:
            state = state.replaced(self.order[position], ids[before], ids[to], self.model.revision)
        self._done(payload["change"], state)

    @rule(position=POSITION, name=NAME)
    def import_suggests(self, position: int, name: str) -> None:
        """An import's suggestion has no model."""
        state, sample, ids = self.model.state, self.order[position], self._ids([name])
        if sample not in state.samples or not ids:
            return
        label = ids[name]
        if any(each.confirmed or each.model is None for each in state.on(sample, label).values()):
            return
        change = self.runner.run(self._import(sample, label))
        token = next(self.tokens)
        after = state.put(token, Annotation(sample, label, self.model.revision, confirmed=False))
        self._done({"id": f"Change:{change}"}, after)

    async def _import(self, sample: int, label: int) -> int:
        async with self.direct.database.writing() as session:
            change = await changes.record(session, self.id, kind="IMPORT", actor="import", summary="x")
            values = {"dataset": self.id, "sample": sample, "label": label, "since": change.revision}
            await sql.run(
                session,
                """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confirmed, since)
                VALUES (:dataset, :sample, :label, 'import', 'IMPORT', false, :since)""",
                **values,
            )
            selected = LockedSamples(self.id, 1, (sample,))
            await annotations.refresh_derived_state(session, selected, change, origin=None)
            return change.id

    @invariant()
    def the_records_of_models_are_the_model(self) -> None:
        if not hasattr(self, "direct"):
            return
        models = self._run("query ($d: ID!) { dataset(by: {id: $d}) { %s } }" % RECORD)["dataset"]["models"]["nodes"]  # noqa: UP031
        record = self.model.state.record()
        found = {}
        for model in models:
            name = f"{model['name']} {model['modelVersion']}"
            for each in model["labels"]:
                counts = {outcome: each[field] for outcome, field in OUTCOMES.items() if each[field]}
                found[name, int(each["label"]["id"].split(":")[1])] = counts
            for outcome, field in OUTCOMES.items():
                assert model[field] == sum(one[outcome] for (of, _), one in record.items() if of == name)
            decided = sum(model[field] for outcome, field in OUTCOMES.items() if outcome != "PENDING")
            assert model["suggestedCount"] == decided + model["pendingCount"]
            assert model["precision"] == (model["acceptedCount"] / decided if decided else None)
        assert found == record

    def _edit(
        self,
        position: int,
        data: Any,
        name: str | None,
        edited: Callable[[State, int, int | None], State],
        *,
        remove: bool = False,
    ) -> None:
        """Of one annotation, confirmed or not."""
        state, sample = self.model.state, self.order[position]
        ids = self._ids([] if name is None else [name])
        tokens = sorted(state.on(sample))
        if not tokens or (name is not None and name not in ids):
            return
        token = data.draw(st.sampled_from(tokens), label="annotation")
        id = self._annotation(sample, state.annotations[token])
        edit: dict[str, Any] = {"remove": [id]} if remove else {"update": [{"id": id, "label": name}]}
        payload = self._mutate(
            "annotateSamples",
            "change { id }",
            datasetId=self.dataset,
            samples=[{"sampleId": f"Sample:{sample}", **edit}],
        )
        self._done(payload["change"], edited(state, token, None if name is None else ids[name]))

    def _annotation(self, sample: int, annotation: Annotation) -> str:
        query = """query ($s: ID!) { node(id: $s) { ... on Sample { annotations {
            id isConfirmed label { id } model { name modelVersion } } } } }"""
        model = annotation.model and dict(zip(("name", "modelVersion"), annotation.model.split(), strict=True))
        described = {"isConfirmed": annotation.confirmed, "label": {"id": f"Label:{annotation.label}"}, "model": model}
        [id] = [
            each["id"]
            for each in self._run(query, s=f"Sample:{sample}")["node"]["annotations"]
            if {name: each[name] for name in described} == described
        ]
        return str(id)

    def _ids(self, names: Any) -> dict[str, int]:
        return {name: id for id, name in self.model.state.labels.items() if name in names}

    def _known(self) -> set[str]:
        query = "query ($d: ID!) { dataset(by: {id: $d}) { models(first: 10) { nodes { name modelVersion } } } }"
        nodes = self._run(query)["dataset"]["models"]["nodes"]
        return {f"{each['name']} {each['modelVersion']}" for each in nodes}


@pytest.mark.slow
def test_every_history_of_suggestions_is_as_the_model_says(database_url: str) -> None:
    run_histories(Suggestions, database_url, OPERATIONS // 2)
