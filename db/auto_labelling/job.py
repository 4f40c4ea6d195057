"""An auto labelling: a model is asked about the samples, page by page, and what it suggests is written as changes.

A batch commits its suggestions with the number of its last sample, behind which another worker goes on. The model's
answers are made while the batch before is written.
"""

import logging
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import Final

from db.auto_labelling import built_in, evaluations, http_models, job_samples, onnx
from db.auto_labelling.allowed import AllowedModels
from db.auto_labelling.answers import MAX_ANNOTATIONS, MAX_GUESSES, Answer, SuggestingModel
from db.auto_labelling.batches import Batches
from db.auto_labelling.features import open_features
from db.auto_labelling.image_bytes import open_images
from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.auto_labelling.models import BuiltInModel, HttpModel, OnnxModel
from db.auto_labelling.requests import model_of
from db.concurrency_limits import Turns, one_ahead
from db.errors import DomainError
from db.formats.decoding import Decoders
from db.formats.names import nfc
from db.identity.tokens import Identity, Scope
from db.jobs import Batch, Claim
from db.labelling.samples.annotate import MAX_PER_SAMPLE
from db.labelling.suggestions.models import ModelName
from db.labelling.suggestions.suggest import SampleSuggestions, Suggestion, SuggestWith, suggest
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Stores

log = logging.getLogger(__name__)

SQL: Final = sql.load(__file__)
MAX_SAMPLES: Final = 1_000  # in one change
PAUSE: Final = 5.0  # seconds after which suggestions are written, if they are few
ATTEMPTS: Final = 3  # of a batch, while labels are deleted and images change
OTHER_IMAGE: Final = "The image changed after the model looked at it; nothing was suggested for it."


@dataclass(frozen=True, slots=True)
class Tools:
    """What the worker's process has for these jobs. `secret`: of signed URLs; `seconds`: in which a model behind HTTP
    answers."""

    stores: Stores
    decoders: Decoders
    secret: bytes
    allowed: AllowedModels
    seconds: float


async def run(database: Database, job: Claim, tools: Tools) -> None:
    dataset, batches = await job_samples.begin(database, job), Batches(database, job)
    async with AsyncExitStack() as stack:
        model = await _opened(stack, batches, dataset, tools)
        known: Mapping[int, Answer] = {}
        if not dataset.is_evaluated and not isinstance(model, built_in.BuiltIn):
            known = await evaluations.evaluate(batches, dataset, model)
        await Labelling(batches, dataset, model, known).run()


async def _opened(stack: AsyncExitStack, batches: Batches, dataset: LabelledDataset, tools: Tools) -> SuggestingModel:
    database, job = batches.database, batches.job
    match model_of(job.arguments):
        case BuiltInModel():
            features = await open_features(batches, dataset, tools.stores, tools.decoders)
            return await built_in.learn(batches, dataset, features)
        case OnnxModel() as model:
            return await stack.enter_async_context(
                onnx.open_model(
                    model,
                    dataset,
                    open_images(dataset, tools.stores),
                    tools.decoders,
                    tools.allowed,
                )
            )
        case HttpModel() as model:
            async with database.reading() as reader:
                rows = await sql.run(reader, SQL.labels, dataset_id=dataset.id)
                several = await sql.value(reader, SQL.has_several, dataset_id=dataset.id)
            confined = job.arguments["label_ids"]
            labels = {row["name"]: row["color"] for row in rows if confined is None or row["id"] in confined}
            return await stack.enter_async_context(
                http_models.open_model(
                    model,
                    job,
                    dataset,
                    labels,
                    several=several,
                    allowed=tools.allowed,
                    secret=tools.secret,
                    seconds=tools.seconds,
                )
            )


@dataclass(slots=True)
class Written:
    """Answers that are to be written, up to a sample's number."""

    answers: list[Answer] = field(default_factory=list)
    number: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        count = sum(len(answer.guesses) for answer in self.answers)
        is_many = len(self.answers) >= MAX_SAMPLES or count >= MAX_ANNOTATIONS
        return is_many or (bool(self.answers) and time.monotonic() - self.since > PAUSE)


@dataclass(slots=True)
class Labelling:
    """`known`: what the model has said of samples already, by their ids."""

    batches: Batches
    dataset: LabelledDataset
    model: SuggestingModel
    known: Mapping[int, Answer]

    @property
    def job(self) -> Claim:
        return self.batches.job

    async def run(self) -> None:
        waiting = Written(number=self.job.checkpoint["number"])
        async with aclosing(one_ahead(self._answered())) as pages:
            async for number, answers in pages:
                waiting.answers += answers
                waiting.number = number
                self._report(number)
                if waiting.is_due:
                    await self._write(waiting)
                    waiting = Written(number=number)
        await self._write(waiting)

    def _report(self, number: int) -> None:
        progress = self.dataset.progress(self.dataset.examples + number)
        self.job.report(progress=progress, scanned=self.model.read_count)

    async def _answered(self) -> AsyncGenerator[tuple[int, list[Answer]], None]:
        after = self.job.checkpoint["number"]
        async with aclosing(job_samples.pages(self.batches.database, self.job, self.model.page, after=after)) as pages:
            async for number, samples in pages:
                yield number, await self._asked(samples)

    async def _asked(self, samples: Sequence[JobSample]) -> list[Answer]:
        known = [each for each in samples if self._is_known(each)]
        new = [each for each in samples if not self._is_known(each)]
        answers = await self.model.answers(new, least=self.job.arguments["min_confidence"]) if new else []
        return answers + [replace(self.known[each.id], sample=each) for each in known]

    def _is_known(self, sample: JobSample) -> bool:
        answer = self.known.get(sample.id)
        return answer is not None and answer.sample.source_id == sample.source_id

    async def _write(self, written: Written) -> None:
        """In portions of what one change may have. Labels that were deleted, and images that were replaced, since they
        were read are found when it is tried again."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self.batches.commit(lambda batch: self._suggest(batch, written))
                return
            except DomainError as error:
                if error.code not in ("LABEL_NOT_FOUND", "VALIDATION_FAILED") or attempt == ATTEMPTS:
                    raise

    async def _suggest(self, batch: Batch, written: Written) -> None:
        rows = await sql.run(batch.connection, SQL.labels, dataset_id=self.dataset.id)
        confined = self.job.arguments["label_ids"]
        known = {row["name"]: row["id"] for row in rows}
        allowed = {row["id"] for row in rows if confined is None or row["id"] in confined}
        made, turns, shown = dict[str, list[SampleSuggestions]](), Turns(), await self._shown(batch, written)
        for answer in written.answers:
            batch.warnings += answer.warnings
            is_other = shown.get(answer.sample.id, answer.sample.source_id) != answer.sample.source_id
            if is_other:
                batch.warn(answer.sample.path, OTHER_IMAGE)
            if is_other or not answer.is_answered:
                batch.counts["skipped"] += 1
                continue
            suggestions = await self._suggestions(batch, answer, known, allowed, turns)
            made.setdefault(answer.version, []).append(SampleSuggestions(answer.sample.id, suggestions))
        paths = {answer.sample.id: answer.sample.path for answer in written.answers}
        for version, samples in made.items():
            await self._suggest_as(batch, ModelName(self.model.name, version), samples, paths)
        batch.totals["scanned"] = self.model.read_count
        batch.checkpoint = {"number": written.number}

    async def _shown(self, batch: Batch, written: Written) -> dict[int, int]:
        """Which images the samples show now: the ids of their sources."""
        ids = [answer.sample.id for answer in written.answers]
        rows = await sql.run(batch.connection, SQL.shown, dataset_id=self.dataset.id, samples=ids)
        return {row["id"]: row["source_id"] for row in rows}

    async def _suggest_as(
        self, batch: Batch, name: ModelName, samples: Sequence[SampleSuggestions], paths: Mapping[int, str]
    ) -> None:
        by = Identity(self.job.requested_by, Scope.LABEL, self.job.arguments["token_id"])
        how = SuggestWith(model=name, only_what_fits=True)
        for portion in _portions(samples):
            outcome = await suggest(batch.session, self.dataset.id, portion, how, by=by, job_id=self.job.id)
            batch.counts["added"] += outcome.suggested
            batch.counts["kept"] += outcome.kept
            batch.counts["missing"] += outcome.rejected_before
            left_out = outcome.left_out
            batch.counts["labeled"] += sum(len(each.annotations) > left_out.get(each.sample, 0) for each in portion)
            for sample, count in left_out.items():
                message = f"A sample has at most {MAX_PER_SAMPLE:,} annotations; {count:,} suggestions were left out."
                batch.warn(paths[sample], message)
        await sql.run(
            batch.connection,
            SQL.note_model,
            job_id=self.job.id,
            dataset_id=self.dataset.id,
            name=name.name,
            version=name.version,
        )

    async def _suggestions(
        self, batch: Batch, answer: Answer, known: Mapping[str, int], allowed: set[int], turns: Turns
    ) -> list[Suggestion]:
        """By confidence, the highest first; each label of the whole image, and each shape with a label, once."""
        least: float = self.job.arguments["min_confidence"]
        found: dict[tuple[int, object], Suggestion] = {}
        sure = [guess for guess in answer.guesses if guess.confidence >= least]
        for guess in sorted(sure, key=lambda guess: -guess.confidence):
            await turns.step()
            label = guess.label if isinstance(guess.label, int) else known.get(nfc(guess.label))
            if label is None:
                batch.warn_label(guess.unknown(answer.sample.path))
            elif label in allowed:
                found.setdefault((label, guess.shape), Suggestion(label, guess.confidence, guess.shape))
        if len(found) > MAX_GUESSES:
            batch.warn(answer.sample.path, f"The model suggests {len(found):,}; the {MAX_GUESSES:,} surest were taken.")
        return list(found.values())[:MAX_GUESSES]


def _portions(samples: Sequence[SampleSuggestions]) -> Iterator[list[SampleSuggestions]]:
    """Of what one change may have."""
    portion, count = list[SampleSuggestions](), 0
    for each in samples:
        if portion and (len(portion) >= MAX_SAMPLES or count + len(each.annotations) > MAX_ANNOTATIONS):
            yield portion
            portion, count = [], 0
        portion.append(each)
        count += len(each.annotations)
    if portion:
        yield portion
