"""The histories of labels, versions and undoing once more, among people who draw: no shape is lost, none appears."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.db.history_model import Annotation, State
from tests.schema.annotation_fixture import box
from tests.schema.test_versions_model import OPERATIONS, WORDS, Histories, run_histories

LEFT = st.integers(1, 3)
POSITION = st.integers(0, 1)  # few samples and labels, that what is drawn meets
NAME = st.sampled_from(WORDS[:2])


class Drawings(Histories):
    kind: ClassVar[Mapping[str, Any]] = {"kind": "OBJECT_DETECTION", "size": (640, 480)}

    @rule(position=POSITION, name=NAME, left=st.none() | LEFT)
    def draw(self, position: int, name: str, left: int | None) -> None:
        state, sample = self.model.state, self.order[position]
        label = self._label(name)
        answer = self._annotate(sample, add=[{"label": name, "shape": left and box(left)}])
        if label is None:
            assert answer == "LABEL_NOT_FOUND"
            return
        there = any(
            annotation[:2] == (sample, label) and annotation.left == left for annotation in state.annotations.values()
        )
        annotations = dict(state.annotations)
        if sample in state.samples and not there:
            annotations[next(self.tokens)] = Annotation(sample, label, self.model.revision, left)
        self._done(answer["change"], replace(state, annotations=annotations))

    @rule(position=POSITION, data=st.data(), left=LEFT)
    def move(self, position: int, data: Any, left: int) -> None:
        found = self._choose(position, data)
        if found is not None:
            answer = self._annotate(self.order[position], update=[{"id": found[1], "shape": box(left)}])
            self._done(answer["change"], self._turned(found[0], left=left))

    @rule(position=POSITION, data=st.data(), name=NAME)
    def relabel(self, position: int, data: Any, name: str) -> None:
        found, label = self._choose(position, data), self._label(name)
        if found is not None and label is not None:
            answer = self._annotate(self.order[position], update=[{"id": found[1], "label": name}])
            self._done(answer["change"], self._turned(found[0], label=label))

    @rule(position=POSITION, data=st.data())
    def take_off(self, position: int, data: Any) -> None:
        found = self._choose(position, data)
        if found is not None:
            answer = self._annotate(self.order[position], remove=[found[1]])
            annotations = {
                token: annotation for token, annotation in self.model.state.annotations.items() if token != found[0]
            }
            self._done(answer["change"], replace(self.model.state, annotations=annotations))
            assert self._annotate(self.order[position], remove=[found[1]])["change"] is None

    @rule(position=POSITION, name=NAME, left=LEFT)
    def two_draw_and_take_it_back_the_elder_first(self, position: int, name: str, left: int) -> None:
        known = len(self.changes)
        for edge in (left, left + 1):
            self.draw(position, name, edge)
        for change in self.changes[known:]:
            self._undo(change)
            self.the_working_set_is_the_model()

    def _turned(self, token: int, **to: Any) -> State:
        state = self.model.state
        was = state.annotations[token]
        annotation = was._replace(**to)
        if annotation == was:
            return state
        annotation = annotation._replace(stamp=self.model.revision)
        annotations = {
            each: other
            for each, other in state.annotations.items()
            if annotation.left is not None or other.left is not None or other[:2] != annotation[:2]
        }
        return replace(state, annotations={**annotations, token: annotation})

    def _choose(self, position: int, data: Any) -> tuple[int, str] | None:
        """A mark of the sample, and the id of its annotation; none where two cannot be distinguished."""
        state, sample = self.model.state, self.order[position]
        tokens = sorted(token for token, annotation in state.annotations.items() if annotation.sample == sample)
        if not tokens:
            return None
        token = data.draw(st.sampled_from(tokens), label="mark")
        annotation = state.annotations[token]
        query = """query ($s: ID!) { node(id: $s) { ... on Sample { annotations {
            id label { id } shape { ... on BoundingBox { xMin } } } } } }"""
        node = self._run(query, s=f"Sample:{sample}")["node"]
        filter_ = (f"Label:{annotation.label}", annotation.left and {"xMin": annotation.left})
        ids = [each["id"] for each in node["annotations"] if (each["label"]["id"], each["shape"]) == filter_]
        return (token, ids[0]) if len(ids) == 1 else None

    def _label(self, name: str) -> int | None:
        return next((id for id, known in self.model.state.labels.items() if known == name), None)

    def _annotate(self, sample: int, **edit: Any) -> Any:
        samples = [{"sampleId": f"Sample:{sample}", **edit}]
        return self._mutate("annotateSamples", "change { id }", datasetId=self.dataset, samples=samples)


@pytest.mark.slow
def test_every_history_of_shapes_is_as_the_model_says(database_url: str) -> None:
    run_histories(Drawings, database_url, OPERATIONS)
