"""Models in ONNX files below the folders that the server's owner allows: each runs in a process of its own."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from db.auto_labelling.allowed import AllowedModels
from db.auto_labelling.answers import Answer, Guess
from db.auto_labelling.image_bytes import ImageBytes
from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.auto_labelling.models import OnnxModel
from db.concurrency_limits import gather_or_cancel
from db.errors import Invalid, ModelUnavailable
from db.formats.decoding import Decoders
from db.formats.images import UnreadableImage
from db.formats.shapes import BoundingBox, Raster, clamped, scaled, to_stored, validated
from db.labelling.suggestions.models import ModelName

if TYPE_CHECKING:
    from db.vision import onnx_models

PAGE: Final = 50  # samples looked at between two reports of progress
MAX_FAILURES: Final = 5  # images in a row at which the model fails
AHEAD: Final = 64 << 20  # bytes of pixels that wait for the model, or one image if that is larger
UNKNOWN_SIZE: Final = "The size of the image is not known, so boxes cannot be placed; sync the dataset."


@dataclass(slots=True)
class OnnxSuggestions:
    """A SuggestingModel in a file."""

    model: "onnx_models.OnnxModel"
    dataset: LabelledDataset
    images: ImageBytes
    decoders: Decoders
    page: int = PAGE
    read_count: int = 0
    failures: int = field(default=0)  # images in a row
    slots: asyncio.Semaphore = field(init=False)  # of images in memory as pixels

    def __post_init__(self) -> None:
        waiting = AHEAD // (3 * self.model.width * self.model.height)
        self.slots = asyncio.Semaphore(1 + max(1, waiting))  # the model looks at one

    @property
    def name(self) -> str:
        return self.model.name

    async def answers(self, samples: Sequence[JobSample], *, least: float) -> list[Answer]:
        found: dict[int, Answer] = {}
        async for part in self.images.parts(samples):
            for answer in await gather_or_cancel(self._answer(sample, data, least) for sample, data in part):
                found[answer.sample.number] = answer
        return [found[each.number] for each in samples]

    async def _answer(self, sample: JobSample, data: bytes | str, least: float) -> Answer:
        from db.vision.onnx_file import ModelError

        if isinstance(data, str):
            return Answer.failed(sample, data)
        if sample.raster is None:
            return Answer.failed(sample, UNKNOWN_SIZE)
        width, height = self.model.width, self.model.height
        try:
            async with self.slots:
                pixels = await self.decoders.resized(data, width, height, letterbox=self.model.letterbox)
                said = await self.model.predict(pixels, size=sample.raster.upright, least=least)
                del pixels
        except UnreadableImage as refused:
            return Answer.failed(sample, refused.message)
        except ModelError as error:
            self.failures += 1
            if self.failures >= MAX_FAILURES:
                raise ModelUnavailable(
                    f"The model fails at {self.failures} images in a row. {error.message}"
                ) from error
            return Answer.failed(sample, error.message)
        self.failures = 0
        self.read_count += 1
        likely = said[:1] if self.model.is_exclusive else said
        guesses, problems = list[Guess](), dict[str, None]()
        for each in likely:
            try:
                shape = None if each.box is None else self._shape(each.box, sample.raster)
                guesses.append(Guess(self.model.labels[each.label], each.confidence, shape))
            except Invalid as refused:
                problems[refused.message] = None
        return Answer(sample, guesses, tuple(problems), bool(guesses or not problems), self.model.version)

    def _shape(self, box: tuple[float, float, float, float], raster: Raster) -> BoundingBox:
        width, height = raster.size
        upright = scaled(BoundingBox(*box), *raster.upright)
        shape = clamped(to_stored(upright, raster), width, height)
        checked = validated(shape, kind=self.dataset.type, width=width, height=height)
        assert isinstance(checked, BoundingBox)
        return checked


@asynccontextmanager
async def open_model(
    model: OnnxModel,
    dataset: LabelledDataset,
    images: ImageBytes,
    decoders: Decoders,
    allowed: AllowedModels,
) -> AsyncGenerator[OnnxSuggestions, None]:
    """Raises ModelUnavailable; INVALID_PATH where the file is not allowed any more; Invalid for a model that does not
    fit the dataset; StorageError where the disk does not answer."""
    from db.vision import VisionUnavailable, onnx_models
    from db.vision.onnx_file import ModelError

    file = await allowed.file(model.path)
    disk = allowed.disks.of(str(file))
    async with AsyncExitStack() as stack:
        try:
            opened = await stack.enter_async_context(onnx_models.open_model(file, run=disk.run))
        except (ModelError, VisionUnavailable) as error:
            raise ModelUnavailable(error.message) from error
        try:
            ModelName(opened.name, opened.version).checked()
        except Invalid as refused:
            raise ModelUnavailable(refused.message) from refused
        if opened.kind == "DETECTION" and dataset.type != "OBJECT_DETECTION":
            raise Invalid("The model finds boxes, and only datasets of the type OBJECT_DETECTION have such.")
        yield OnnxSuggestions(opened, dataset, images, decoders, read_count=dataset.read)
