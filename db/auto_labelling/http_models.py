"""Models behind HTTP: samples go out in batches, with signed URLs of their images, and suggestions come back.

Where a batch gets no usable answer, its samples are asked about one by one: what is wrong with one is a warning. A
model that answers about none of several samples in a row has a problem of its own, and the job ends. One that says of
each sample why it cannot, or says something wrong, has answered.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from db.auto_labelling.allowed import Address, AllowedModels
from db.auto_labelling.answers import Answer
from db.auto_labelling.http_client import Unanswered, connect
from db.auto_labelling.image_urls import LIFETIME, ImageUrls
from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.auto_labelling.label_studio_protocol import LabelStudioProtocol
from db.auto_labelling.labelgraph_protocol import LabelgraphProtocol
from db.auto_labelling.models import HttpModel
from db.errors import ModelUnavailable
from db.identity.urls import Signer
from db.jobs import Claim

BATCH: Final = 16  # samples in a request
MAX_FAILURES: Final = 5  # samples in a row without a usable answer


class HttpProtocol(Protocol):
    async def begin(self) -> None:
        """Find out whether the model is ready. Raises Unanswered, or ModelUnavailable."""

    async def predict(self, samples: Sequence[JobSample]) -> list[Answer]:
        """Answers about the first of the samples, or about all; perhaps about none. Raises Unanswered, or
        ModelUnavailable."""


@dataclass(slots=True)
class AskedModel:
    """A SuggestingModel behind HTTP."""

    name: str
    protocol: HttpProtocol
    address: Address
    page: int
    read_count: int
    failures: int = field(default=0)  # samples in a row

    async def answers(self, samples: Sequence[JobSample], *, least: float) -> list[Answer]:
        there = [each for each in samples if each.is_present]
        found = {answer.sample.number: answer for answer in await self._ask(there)}
        self.read_count += len(there)
        gone = "The file no longer exists; the model was not asked about it."
        return [found.get(each.number) or Answer.failed(each, gone) for each in samples]

    async def _ask(self, samples: Sequence[JobSample]) -> list[Answer]:
        answers: list[Answer] = []
        while len(answers) < len(samples):
            batch = samples[len(answers) : len(answers) + self.page]
            answers += await self._ask_about_one(batch[0]) if len(batch) == 1 else await self._ask_about_several(batch)
        return answers

    async def _ask_about_several(self, batch: Sequence[JobSample]) -> list[Answer]:
        """Answers about the first of them, or about all."""
        try:
            some = await self.protocol.predict(batch)
        except Unanswered:
            some = []
        if not some:
            return [answer for each in batch for answer in await self._ask_about_one(each)]
        self.failures = 0
        self.page = len(some)  # fewer, where a backend answers about the first sample only
        return some

    async def _ask_about_one(self, sample: JobSample) -> list[Answer]:
        try:
            found = await self.protocol.predict([sample])
        except Unanswered as error:
            return [self._failed(sample, error)]
        self.failures = 0
        return found or [Answer(sample)]

    def _failed(self, sample: JobSample, error: Unanswered) -> Answer:
        self.failures += 1
        if self.failures >= MAX_FAILURES:
            message = (
                f"The model at {self.address.name} gave no usable answer about {self.failures} samples in a row. "
                f"{error.message}"
            )
            raise ModelUnavailable(message)
        return Answer.failed(sample, error.message)


@asynccontextmanager
async def open_model(
    model: HttpModel,
    job: Claim,
    dataset: LabelledDataset,
    labels: Mapping[str, str | None],
    *,
    several: bool,
    allowed: AllowedModels,
    secret: bytes,
    seconds: float,
) -> AsyncGenerator[AskedModel, None]:
    """`labels`: the colours of those that may be suggested, by their names; `several`: samples may have several.
    `seconds`: for one answer. Raises ModelUnavailable, or Invalid where the owner does not allow the host any more."""
    address = allowed.address(model.url)
    urls = ImageUrls(Signer(secret, LIFETIME), job.arguments["base"], job.arguments["token_id"])
    async with connect(address, seconds) as client:
        protocol: HttpProtocol
        if model.protocol == "LABELGRAPH":
            protocol = LabelgraphProtocol(client, dataset, tuple(labels), urls)
        else:
            protocol = LabelStudioProtocol(client, job, dataset, labels, several, urls, model.label_config)
        try:
            await protocol.begin()
        except Unanswered as error:
            raise ModelUnavailable(f"The model at {address.name} is not ready. {error.message}") from error
        yield AskedModel(model.name or address.name, protocol, address, BATCH, dataset.read)
