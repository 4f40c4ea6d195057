"""The protocol of Label Studio's ML backends: `/health`, `/setup`, and `/predict` with tasks, which is answered with
results as Label Studio's own labelling makes them. Numbers are in percent of the upright image.

What their implementations differ in: `/setup` is missing in some; some answer about the first task of a request only;
the score is at each result, or at all of them together; a task may have several predictions.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from db.auto_labelling.answers import MAX_READ, Answer, Guess, note_length
from db.auto_labelling.http_client import Client, Unanswered
from db.auto_labelling.image_urls import ImageUrls
from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.auto_labelling.models import FIRST_VERSION, as_version
from db.errors import ModelUnavailable
from db.formats.datasets import label_studio
from db.formats.datasets.readers.label_studio import of_prediction
from db.formats.shapes import Raster
from db.jobs import Claim

CONTROLS: Final = {"OBJECT_DETECTION": ("RectangleLabels",), "IMAGE_SEGMENTATION": ("PolygonLabels",)}
MISSING: Final = frozenset({404, 405, 501})  # statuses of a path that a backend does not have
MAX_PREDICTIONS: Final = 100  # of one task
UNKNOWN_SIZE: Final = Raster(1, 1)


class LabelStudioProtocol:
    """`labels`: their colours by their names. What a backend says without a score gets the least confidence that is
    asked for: it is suggested, and is never among the surest."""

    def __init__(
        self,
        client: Client,
        job: Claim,
        dataset: LabelledDataset,
        labels: Mapping[str, str | None],
        several: bool,
        urls: ImageUrls,
        config: str | None,
    ) -> None:
        self.client, self.dataset, self.urls = client, dataset, urls
        self.project = f"{dataset.id}.{job.id}"
        self.least: float = job.arguments["min_confidence"]
        self.config = config or "\n".join(
            label_studio.configuration(
                list(labels.items()),
                CONTROLS.get(dataset.type, ()),
                choice=("multiple" if several else "single") if dataset.type == "IMAGE_CLASSIFICATION" else None,
            )
        )
        self.version: str | None = None

    async def begin(self) -> None:
        await self.client.check("/health")
        body = {"project": self.project, "schema": self.config, "hostname": self.urls.base, "access_token": ""}
        try:
            found = await self.client.request("POST", "/setup", {**body, "extra_params": None})
        except ModelUnavailable as error:
            if error.details.get("status") not in MISSING:
                raise
            return
        self.version = as_version(found.get("model_version")) if isinstance(found, dict) else None

    async def predict(self, samples: Sequence[JobSample]) -> list[Answer]:
        body = {
            "tasks": [{"id": each.id, "data": {"image": self.urls.shown(each)}} for each in samples],
            "project": self.project,
            "label_config": self.config,
            "model_version": self.version,
            "params": {"login": None, "password": None, "context": None},
        }
        found = await self.client.request("POST", "/predict", body)
        results = found.get("results") if isinstance(found, dict) else None
        if not isinstance(results, list) or len(results) > len(samples):
            raise Unanswered("The model's answer has no list `results` with one item for each task.")
        pairs = zip(samples, results, strict=False)
        return [await asyncio.to_thread(self._answer, sample, result) for sample, result in pairs]

    def _answer(self, sample: JobSample, result: object) -> Answer:
        predictions = [each for each in (result if isinstance(result, list) else [result]) if each is not None]
        guesses, problems, version = list[Guess](), list[str](), self.version
        note_length(len(predictions), problems, what="predictions", most=MAX_PREDICTIONS)
        total = 0
        for each in predictions[:MAX_PREDICTIONS]:
            if not isinstance(each, dict) or not isinstance(each.get("result", []), list):
                problems.append("The model's answer about it is no prediction with a list `result`.")
                continue
            version = as_version(each.get("model_version")) or version
            results = each.get("result", [])
            some, wrong = self._guesses(sample, {**each, "result": results[: max(MAX_READ - total, 0)]})
            total += len(results)
            guesses += some
            problems += wrong
        note_length(max(total, len(guesses)), problems)
        return Answer(sample, guesses[:MAX_READ], problems, bool(guesses or not problems), version or FIRST_VERSION)

    def _guesses(self, sample: JobSample, prediction: Mapping[str, Any]) -> tuple[list[Guess], list[str]]:
        raster = sample.raster or UNKNOWN_SIZE
        record = of_prediction(prediction, self.dataset.type, raster.upright)
        if sample.raster is None and any(each.shape is not None for each in record.annotations or ()):
            return [], ["The size of the image is not known, so shapes cannot be placed; sync the dataset."]
        record = record.on(raster, kind=self.dataset.type, beyond="CLAMP")
        guesses = [
            Guess(each.label, self.least if each.confidence is None else each.confidence, each.shape)
            for each in record.annotations or ()
        ]
        return guesses, list(dict.fromkeys(each.message for each in record.problems))
