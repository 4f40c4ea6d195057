"""Models: what they suggest and what becomes of it, auto labelling, and images that look alike."""

import json
import os
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
from labelgraph_client import (
    AutoLabelModelInput,
    DecideSuggestionsInput,
    FloatFilter,
    HttpModelInput,
    HttpModelProtocol,
    LabelgraphError,
    ModelInput,
    NearInput,
    PutEmbeddingsInput,
    SampleEmbeddingInput,
    SampleFilter,
    SampleOrderField,
    SampleOrderInput,
    SampleSelectionInput,
    SampleState,
    SampleSuggestionsInput,
    StartAutoLabelingInput,
    SuggestAnnotationsInput,
    SuggestionDecision,
    SuggestionFilter,
    SuggestionInput,
    UndoChangeInput,
)

from tests.server import COUNT, LABELED_COUNT, connect, make_dataset

UNLABELED_COUNT = COUNT - LABELED_COUNT
GUESSER = ModelInput(name="guesser", model_version="1")
PORT = int(os.environ["LABELGRAPH_CLIENTS_MODEL_PORT"])  # at which the server may ask a model


class Model(BaseHTTPRequestHandler):
    """It sees the first label in every image, and looks at each of them."""

    sizes: list[int] = []  # noqa: RUF012

    def do_POST(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for sample in asked["samples"]:
            self.sizes.append(len(httpx.get(sample["url"]).content))
        guesses = [{"label": asked["labels"][0], "confidence": 0.95}]
        samples = [{"id": sample["id"], "annotations": guesses} for sample in asked["samples"]]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"version": "3", "samples": samples}).encode())

    def log_message(self, *_: object) -> None:
        pass


class Models(unittest.TestCase):
    def setUp(self) -> None:
        self.client = connect()
        self.addCleanup(self.client.close)
        self.dataset = make_dataset()

    def paths(self, state: SampleState) -> list[str]:
        order = SampleOrderInput(field=SampleOrderField.PATH)
        return [
            each.path for each in self.client.samples(self.dataset, filter=SampleFilter(state=state), order_by=order)
        ]

    def suggested(self, **conditions: Any) -> list[str]:
        """The least sure first."""
        found = self.client.samples(
            self.dataset,
            filter=SampleFilter(suggestions=SuggestionFilter(models=[GUESSER], **conditions)),
            order_by=SampleOrderInput(field=SampleOrderField.SUGGESTION_MARGIN),
        )
        return [sample.path for sample in found]

    def test_a_model_suggests_and_a_person_decides(self) -> None:
        paths = self.paths(SampleState.UNLABELED)
        suggestions = SuggestAnnotationsInput(
            dataset_id=self.dataset.id,
            model=GUESSER,
            samples=[
                SampleSuggestionsInput(
                    path=path, annotations=[SuggestionInput(label="guess", confidence=0.5 + number / 100)]
                )
                for number, path in enumerate(paths)
            ],
            create_missing=True,
        )
        assert self.client.suggest_annotations(suggestions).suggested_count == len(paths)
        assert self.suggested() == paths == self.paths(SampleState.PENDING)
        assert self.suggested(confidence=FloatFilter(max=0.545)) == paths[:5]

        def decide(decision: SuggestionDecision, select: SampleSelectionInput, **more: Any) -> Any:
            wanted = DecideSuggestionsInput(dataset_id=self.dataset.id, decision=decision, select=select, **more)
            return self.client.decide_suggestions(wanted)

        sure = decide(SuggestionDecision.ACCEPT, SampleSelectionInput(all=True), min_confidence=0.595)
        wrong = decide(SuggestionDecision.REJECT, SampleSelectionInput(paths=paths[:1]), expected_count=1)
        assert (sure.suggestion_count, wrong.suggestion_count) == (len(paths) - 10, 1)
        assert self.suggested() == paths[1:10]
        again = self.client.suggest_annotations(suggestions)
        assert (again.kept_count, again.rejected_before_count) == (len(paths) - 10, 1)
        [model] = self.client.models(self.dataset)
        assert (model.pending_count, model.accepted_count, model.rejected_count) == (9, len(paths) - 10, 1)
        self.client.undo_change(UndoChangeInput(change_id=sure.change.id))
        assert self.suggested() == paths[1:]
        pending = next(self.client.samples(self.dataset, filter=SampleFilter(state=SampleState.PENDING)))
        assert [each.model.name for each in pending.annotations if each.model] == ["guesser"]

    def test_a_model_behind_http_labels(self) -> None:
        with HTTPServer(("127.0.0.1", PORT), Model) as server:
            threading.Thread(target=server.serve_forever).start()
            self.addCleanup(server.shutdown)
            behind = HttpModelInput(
                url=f"http://127.0.0.1:{PORT}", protocol=HttpModelProtocol.LABELGRAPH, name="first label"
            )
            request = StartAutoLabelingInput(dataset_id=self.dataset.id, model=AutoLabelModelInput(http=behind))
            job = self.client.wait(self.client.start_auto_labeling(request).job)
            server.shutdown()
        assert job.model is not None
        assert (job.suggested_count, job.model.name, job.model.model_version) == (UNLABELED_COUNT, "first label", "3")
        assert len(Model.sizes) >= UNLABELED_COUNT  # and labelled ones, which say how good it is
        assert min(Model.sizes) > 0
        assert len(self.paths(SampleState.PENDING)) == UNLABELED_COUNT

    def test_images_that_look_alike(self) -> None:
        nearest, farther, farthest = self.paths(SampleState.LABELED)[:3]
        vectors = {nearest: [1.0, 0.0], farther: [0.9, 0.1], farthest: [0.0, 1.0]}
        embeddings = PutEmbeddingsInput(
            dataset_id=self.dataset.id,
            model=GUESSER,
            samples=[SampleEmbeddingInput(path=path, vector=vector) for path, vector in vectors.items()],
        )
        if "EMBEDDINGS" not in self.client.server_info().features:  # the server's Postgres lacks pgvector
            with self.assertRaises(LabelgraphError) as refused:
                self.client.put_embeddings(embeddings)
            assert refused.exception.code == "FEATURE_UNAVAILABLE"
            return
        assert self.client.put_embeddings(embeddings).stored_count == 3
        near = NearInput(vector=[1, 0], model=GUESSER)
        assert [sample.path for sample in self.client.samples(self.dataset, near=near)] == [nearest, farther, farthest]


if __name__ == "__main__":
    unittest.main()
