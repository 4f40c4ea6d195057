"""The server's own model: it learns from the dataset's labelled samples, is evaluated on them, and suggests.

One label an image, unless people gave several to more than a few: then each label is distinguished from the rest.
Labels that fewer than five samples have are left out. What it says of a sample that it learned from is what it would
say without having seen it, so that where it surely disagrees with people, they may look again.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from db.auto_labelling import evaluations, job_samples
from db.auto_labelling.answers import MAX_ANNOTATIONS, Answer, Guess
from db.auto_labelling.batches import Batches
from db.auto_labelling.comparison import MAX_CONFUSIONS, Findings, LabelScore
from db.auto_labelling.evaluations import SEVERAL
from db.auto_labelling.features import Features
from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.auto_labelling.models import BUILT_IN_NAME
from db.auto_labelling.requests import MIN_EXAMPLES, LabelCount, expect_examples
from db.jobs import Batch
from db.postgres import sql

if TYPE_CHECKING:
    from db.vision.classifier import Classifier
    from db.vision.evaluation import Evaluation

SQL: Final = sql.load(__file__)
PAGE: Final = 200  # samples looked at between two reports of progress
SCALED: Final = 2_000  # selected samples, besides those it learns from, by which features are made comparable


@dataclass(frozen=True, slots=True)
class Lesson:
    """What there is to learn: labelled samples, with their features, and the labels that have enough of them.
    `several`: a sample may have several. `counts`: how many labelled samples each label of the dataset has; `unread`:
    paths of images that could not be read, and why."""

    labels: Sequence[int]
    samples: Sequence[JobSample]
    features: Sequence[bytes]
    targets: Sequence[Sequence[int]]  # positions in `labels`
    several: bool
    counts: Mapping[int, int]
    unread: Sequence[tuple[str, str]] = ()

    def warn(self, batch: Batch) -> None:
        batch.warnings += self.unread

    def digest(self, network: str) -> str:
        """Another for anything else to learn."""
        found = hashlib.sha256(f"{network} {list(self.labels)} {self.several}".encode())
        for sample, features, targets in zip(self.samples, self.features, self.targets, strict=True):
            found.update(f"{sample.id} {list(targets)} ".encode() + features)
        return found.hexdigest()[:8]


@dataclass(slots=True)
class BuiltIn:
    """A SuggestingModel that has learned. `held_out`: what it says of images that it learned from, by their sources,
    had it not. `allowed`: the labels that may be suggested. `page`: fewer samples where each may get many labels."""

    features: Features
    lesson: Lesson
    classifier: "Classifier"
    held_out: Mapping[int, Sequence[float]]
    version: str
    allowed: frozenset[int]
    name: str = BUILT_IN_NAME
    page: int = PAGE

    @property
    def read_count(self) -> int:
        return self.features.read_count

    async def answers(self, samples: Sequence[JobSample], *, least: float) -> list[Answer]:
        found = await self.features.of(samples)
        known = [each for each in samples if each.number in found.features]
        vectors = [found.features[each.number] for each in known]
        rows = await asyncio.to_thread(_probabilities, self.classifier, vectors) if vectors else []
        likely = {each.number: self.held_out.get(each.source_id, row) for each, row in zip(known, rows, strict=True)}
        return [
            Answer(each, self._guesses(likely[each.number], least), version=self.version)
            if each.number in likely
            else Answer.failed(each, found.problems[each.number])
            for each in samples
        ]

    def _guesses(self, row: Sequence[float], least: float) -> list[Guess]:
        ranked = sorted(zip(row, self.lesson.labels, strict=True), reverse=True)
        likely = ranked if self.lesson.several else ranked[:1]
        return [Guess(label, min(each, 1.0)) for each, label in likely if each >= least and label in self.allowed]


async def learn(batches: Batches, dataset: LabelledDataset, features: Features) -> BuiltIn:
    """Also notes how good it is. Raises Invalid where there is too little to learn from."""
    async with batches.database.reading() as reader:
        rows = await sql.run(reader, SQL.labels, dataset_id=dataset.id)
    names = {row["id"]: row["name"] for row in rows}
    lesson = await _lesson(batches, dataset, features, names)
    others = await _others(batches, dataset, features)
    classifier, evaluation = await asyncio.to_thread(_learned, lesson, others)
    await evaluations.note(batches, _findings(lesson, names, evaluation), warn=lesson.warn)
    said: Any = evaluation.probabilities
    held_out = {sample.source_id: row for sample, row in zip(lesson.samples, said.tolist(), strict=True)}
    version = f"{len(lesson.samples)}-{await asyncio.to_thread(lesson.digest, features.name)}"
    confined = batches.job.arguments["label_ids"]
    allowed = frozenset(lesson.labels if confined is None else confined)
    page = min(PAGE, max(MAX_ANNOTATIONS // len(lesson.labels), 1)) if lesson.several else PAGE
    return BuiltIn(features, lesson, classifier, held_out, version, allowed, page=page)


async def _lesson(batches: Batches, dataset: LabelledDataset, features: Features, names: Mapping[int, str]) -> Lesson:
    """Raises Invalid."""
    samples: list[tuple[JobSample, bytes, list[int]]] = []
    unread: list[tuple[str, str]] = []
    done = 0
    async for page in job_samples.examples(batches.database, batches.job, PAGE):
        found = await features.of([sample for sample, _ in page])
        for sample, label_ids in page:
            if sample.number in found.features:
                labels = [each for each in label_ids if each in names]
                samples.append((sample, found.features[sample.number], labels))
            else:
                unread.append((sample.path, found.problems[sample.number]))
        done += len(page)
        batches.job.report(progress=dataset.progress(done), scanned=features.read_count)
    several = sum(len(labels) > 1 for _, _, labels in samples) > SEVERAL * len(samples)
    usable = [each for each in samples if several or len(each[2]) == 1]
    counts = Counter(label for _, _, labels in usable for label in labels)
    expect_examples([LabelCount(name, counts[label]) for label, name in names.items()], unread)
    used = sorted(label for label in names if counts[label] >= MIN_EXAMPLES)
    positions = {label: position for position, label in enumerate(used)}
    known = [
        (each, data, [positions[label] for label in labels if label in positions]) for each, data, labels in usable
    ]
    learned, vectors, targets = zip(*(each for each in known if several or each[2]), strict=True)
    return Lesson(used, learned, vectors, targets, several, counts, unread)


async def _others(batches: Batches, dataset: LabelledDataset, features: Features) -> list[bytes]:
    """The features of some selected samples: of a small dataset all, so that little is left to do afterwards."""
    vectors: list[bytes] = []
    async with aclosing(job_samples.pages(batches.database, batches.job, PAGE, after=0)) as pages:
        async for last, page in pages:
            vectors += (await features.of(page)).features.values()
            batches.job.report(progress=dataset.progress(dataset.examples + last), scanned=features.read_count)
            if last >= SCALED:
                break
    return vectors


def _learned(lesson: Lesson, others: Sequence[bytes]) -> "tuple[Classifier, Evaluation]":
    from db.vision.classifier import Moments, fit
    from db.vision.evaluation import evaluate
    from db.vision.features import unpack
    from db.vision.targets import of_one, of_several

    features = unpack(lesson.features)
    moments = Moments()
    moments.add(features)
    if others:
        moments.add(unpack(others))
    scaling, count = moments.scaling(), len(lesson.labels)
    targets = of_several(lesson.targets, count) if lesson.several else of_one(lesson.targets)
    evaluation = evaluate(features, targets, count=count, scaling=scaling)
    return fit(features, targets, count=count, scaling=scaling, temperature=evaluation.temperature), evaluation


def _probabilities(classifier: "Classifier", vectors: Sequence[bytes]) -> list[list[float]]:
    from db.vision.features import unpack

    found: Any = classifier.probabilities(unpack(vectors))
    rows: list[list[float]] = found.tolist()
    return rows


def _findings(lesson: Lesson, names: Mapping[int, str], evaluation: "Evaluation") -> Findings:
    evaluated = dict(zip(lesson.labels, evaluation.labels, strict=True))
    scores = []
    for label, name in names.items():
        score = LabelScore(label, name, lesson.counts.get(label, 0))
        if label in evaluated:
            found = evaluated[label]
            score = replace(score, precision=found.precision, recall=found.recall, support=found.support)
        scores.append(score)
    confusions = sorted(_confusions(lesson, names, evaluation), reverse=True)[:MAX_CONFUSIONS]
    thresholds = [(each.confidence, each.share, each.precision) for each in evaluation.thresholds]
    return Findings(evaluation.accuracy, evaluation.sample_count, scores, confusions, thresholds)


def _confusions(lesson: Lesson, names: Mapping[int, str], evaluation: "Evaluation") -> list[tuple[int, str, str]]:
    return [
        (count, names[actual], names[predicted])
        for actual, row in zip(lesson.labels, evaluation.confusion or (), strict=False)
        for predicted, count in zip(lesson.labels, row, strict=True)
        if count
    ]
