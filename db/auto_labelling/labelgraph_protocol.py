"""A plain protocol for models behind HTTP: one POST with samples, answered with suggestions.

    {"dataset": {"name": "pets", "type": "OBJECT_DETECTION"}, "labels": ["cat", "dog"],
     "samples": [{"id": "7", "path": "a/1.jpg", "url": "https://…", "width": 640, "height": 480, "orientation": 1}]}

    {"version": "3", "samples": [{"id": "7", "annotations": [{"label": "cat", "confidence": 0.93,
        "shape": {"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 9, "yMax": 8}}]}]}

Shapes are in pixels of the image as it is stored, before any EXIF rotation, under the names of the GraphQL schema.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from db.auto_labelling.answers import MAX_READ, Answer, Guess, note_length
from db.auto_labelling.http_client import Client, Unanswered
from db.auto_labelling.image_urls import ImageUrls
from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.auto_labelling.models import FIRST_VERSION, as_version
from db.concurrency_limits import Turns
from db.errors import Invalid
from db.formats import shapes
from db.formats.datasets.readers import values
from db.formats.names import excerpt, quoted

MAX_ERROR: Final = 200  # characters of a model's own sentence
POINTS: Final = 4  # of a shape, which take as long as an annotation without one


class LabelgraphProtocol:
    def __init__(self, client: Client, dataset: LabelledDataset, labels: Sequence[str], urls: ImageUrls) -> None:
        self.client, self.dataset, self.labels, self.urls = client, dataset, list(labels), urls

    async def begin(self) -> None:
        """The first samples show whether the model is ready."""

    async def predict(self, samples: Sequence[JobSample]) -> list[Answer]:
        body = {
            "dataset": {"name": self.dataset.name, "type": self.dataset.type},
            "labels": self.labels,
            "samples": list(map(self._asked, samples)),
        }
        found = await self.client.request("POST", "", body)
        items = found.get("samples") if isinstance(found, dict) else None
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise Unanswered("The model's answer has no list `samples` of objects.")
        version = as_version(found.get("version")) or FIRST_VERSION
        by_id = {str(item["id"]): item for item in items if type(item.get("id")) in (str, int)}
        if not any(str(each.id) in by_id for each in samples):
            raise Unanswered("The model's answer is about other samples, or about none.")
        turns = Turns()
        return [await self._answer(each, by_id.get(str(each.id)), version, turns) for each in samples]

    def _asked(self, sample: JobSample) -> dict[str, Any]:
        asked: dict[str, Any] = {"id": str(sample.id), "path": sample.path, "url": self.urls.stored(sample)}
        if sample.raster is not None:
            width, height = sample.raster.size
            asked |= {"width": width, "height": height, "orientation": sample.raster.orientation}
        return asked

    async def _answer(self, sample: JobSample, item: Mapping[str, Any] | None, version: str, turns: Turns) -> Answer:
        if item is None:
            return Answer.failed(sample, "The model did not answer about it.")
        if item.get("error") is not None:
            reason = excerpt(item["error"], MAX_ERROR) if isinstance(item["error"], str) else "it gives no reason."
            return Answer.failed(sample, f"The model could not answer about it: {reason}")
        given, guesses, problems = item.get("annotations"), list[Guess](), list[str]()
        if not isinstance(given, list):
            return Answer.failed(sample, "The model's answer about it has no list `annotations`.")
        note_length(len(given), problems)
        for each in given[:MAX_READ]:
            await turns.step(1 + _points(each.get("shape") if isinstance(each, dict) else None) // POINTS)
            try:
                guesses.append(self._guess(sample, each))
            except Invalid as refused:
                problems.append(refused.message)
        return Answer(sample, guesses, tuple(dict.fromkeys(problems)), bool(guesses or not problems), version)

    def _guess(self, sample: JobSample, given: object) -> Guess:
        """Raises Invalid."""
        if not isinstance(given, dict):
            raise Invalid(f"An annotation must be a JSON object, and is {quoted(given)}.")
        label = values.text(given.get("label"), "label")
        confidence = values.confidence(given.get("confidence"))
        if confidence is None:
            raise Invalid("`confidence` is missing.")
        shape = given.get("shape")
        return Guess(label, confidence, None if shape is None else self._shape(sample, shape))

    def _shape(self, sample: JobSample, given: object) -> shapes.Shape:
        if not isinstance(given, dict):
            raise Invalid(f"`shape` must be a JSON object, and is {quoted(given)}.")
        if sample.raster is None:
            raise Invalid("The size of the image is not known, so shapes cannot be placed; sync the dataset.")
        count = _points(given)
        if count > shapes.MAX_POINTS:
            raise shapes.too_many_points(count)
        width, height = sample.raster.size
        shape = shapes.clamped(shapes.from_json(given), width, height)
        return shapes.validated(shape, kind=self.dataset.type, width=width, height=height)


def _points(shape: object) -> int:
    points = shape.get("points") if isinstance(shape, dict) else None
    return len(points) if isinstance(points, list) else 0
