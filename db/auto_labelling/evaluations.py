"""How good a model is, noted before its first suggestion.

The built-in model is evaluated by cross-validation, as it learns from the labelled samples. Any other model is asked
about some of them, drawn at random.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import orjson

from db.auto_labelling import comparison, job_samples
from db.auto_labelling.answers import MAX_GUESSES, Answer, Guess, SuggestingModel
from db.auto_labelling.batches import Batches
from db.auto_labelling.comparison import Compared, Findings, Mark
from db.auto_labelling.job_samples import LabelledDataset
from db.concurrency_limits import Turns
from db.formats import shapes
from db.formats.names import nfc
from db.jobs import Batch, LabelWarning
from db.postgres import sql
from db.vision import HALF

SQL: Final = sql.load(__file__)
SEVERAL: Final = 0.02  # of the labelled samples have several labels: then every sample may


async def note(batches: Batches, found: Findings | None, *, warn: Callable[[Batch], None]) -> None:
    """Store the evaluation, in place of that of an earlier claim; None where no sample could be evaluated. `warn` adds
    the warnings."""
    job_id, scores = batches.job.id, found.scores if found else ()

    async def write(batch: Batch) -> None:
        warn(batch)
        if found is None:
            return
        values = {"accuracy": found.accuracy, "evaluated": found.sample_count}
        await sql.run(batch.connection, SQL.note, job_id=job_id, **values)
        await sql.run(batch.connection, SQL.clear, job_id=job_id)
        await sql.run(
            batch.connection,
            SQL.add_scores,
            job_id=job_id,
            labels=[each.label for each in scores],
            names=[each.name for each in scores],
            counts=[each.samples for each in scores],
            precisions=[each.precision for each in scores],
            recalls=[each.recall for each in scores],
            supports=[each.support for each in scores],
        )
        sizes, actual, predicted = _columns(found.confusions)
        named = {"counts": sizes, "actual": actual, "predicted": predicted}
        await sql.run(batch.connection, SQL.add_confusions, job_id=job_id, **named)
        confidences, shares, precisions = _columns(found.thresholds)
        thresholds = {"confidences": confidences, "shares": shares, "precisions": precisions}
        await sql.run(batch.connection, SQL.add_thresholds, job_id=job_id, **thresholds)

    await batches.commit(write)


def _columns(rows: Sequence[tuple[object, object, object]]) -> tuple[list[object], list[object], list[object]]:
    first, second, third = zip(*rows, strict=True) if rows else ((), (), ())
    return list(first), list(second), list(third)


async def evaluate(batches: Batches, dataset: LabelledDataset, model: SuggestingModel) -> dict[int, Answer]:
    """Note what a model that learns nothing says of the labelled samples that the job has set aside. Its answers, by
    the ids of these samples: nothing is asked twice. Raises ModelUnavailable."""
    job, answers = batches.job, list[Answer]()
    confined, least = job.arguments["label_ids"], min(HALF, job.arguments["min_confidence"])
    takes_one = dataset.type == "IMAGE_CLASSIFICATION" and confined is None
    async for page in job_samples.examples(batches.database, job, model.page):
        asked = await model.answers([sample for sample, _ in page], least=0.0 if takes_one else least)
        answers += map(_surest, asked)
        job.report(progress=dataset.progress(len(answers)), scanned=model.read_count)
    async with batches.database.reading() as reader:
        rows = await sql.run(reader, SQL.labels, dataset_id=dataset.id)
    ids = {row["name"]: row["id"] for row in rows}
    names = {row["id"]: row["name"] for row in rows if confined is None or row["id"] in confined}
    said, unknown, known, turns = dict[int, list[Mark]](), list[LabelWarning](), dict[int, Answer](), Turns()
    for answer in answers:
        await turns.step(len(answer.guesses))
        if answer.is_answered:
            said[answer.sample.id] = _said(answer, ids, names)
        if len(answer.guesses) < MAX_GUESSES:
            known[answer.sample.id] = _without_warnings(answer, ids)
        sure = (each for each in answer.guesses if each.confidence >= job.arguments["min_confidence"])
        unknown += (each.unknown(answer.sample.path) for each in sure if _label(each, ids) is None)
    actual = await _actual(batches, dataset, list(said), names)
    compared = await asyncio.to_thread(_compared, dataset.type, actual, said, takes_one=takes_one, least=least)

    def warn(batch: Batch) -> None:
        batch.totals["scanned"] = model.read_count
        for answer in answers:
            batch.warnings += answer.warnings
        for each in unknown:
            batch.warn_label(each)

    await note(batches, comparison.findings(compared, names) if compared else None, warn=warn)
    return known


def _surest(answer: Answer) -> Answer:
    """As much as is kept of one. A sample of which more was said is asked about again, if it is selected."""
    if len(answer.guesses) <= MAX_GUESSES:
        return answer
    return replace(answer, guesses=sorted(answer.guesses, key=lambda guess: -guess.confidence)[:MAX_GUESSES])


def _label(guess: Guess, ids: Mapping[str, int]) -> int | None:
    return guess.label if isinstance(guess.label, int) else ids.get(nfc(guess.label))


def _said(answer: Answer, ids: Mapping[str, int], names: Mapping[int, str]) -> list[Mark]:
    """What the model says of labels that it may suggest."""
    found = ((_label(guess, ids), guess) for guess in answer.guesses)
    return [Mark(id, guess.shape, guess.confidence) for id, guess in found if id is not None and id in names]


def _without_warnings(answer: Answer, ids: Mapping[str, int]) -> Answer:
    """The answer without what the job has already been warned of."""
    return replace(answer, problems=(), guesses=[each for each in answer.guesses if _label(each, ids) is not None])


async def _actual(
    batches: Batches, dataset: LabelledDataset, samples: Sequence[int], names: Mapping[int, str]
) -> dict[int, list[Mark]]:
    """What people put on each of the samples; those that have no label any more are left out."""
    async with batches.database.reading() as reader:
        rows = await sql.run(reader, SQL.confirmed, dataset_id=dataset.id, samples=samples)
    found, turns = dict[int, list[Mark]](), Turns()
    for row in rows:
        await turns.step()
        marks = found.setdefault(row["sample_id"], [])
        if row["label_id"] in names:
            shape = None if row["shape"] is None else shapes.from_json(orjson.loads(row["shape"]))
            marks.append(Mark(row["label_id"], shape))
    return found


def _compared(
    kind: str,
    actual: Mapping[int, Sequence[Mark]],
    said: Mapping[int, Sequence[Mark]],
    *,
    takes_one: bool,
    least: float,
) -> list[Compared]:
    several = sum(len({mark.label for mark in marks}) > 1 for marks in actual.values())
    if takes_one and several <= SEVERAL * len(actual):
        return [comparison.compare_label(marks[0].label, said[id]) for id, marks in actual.items() if len(marks) == 1]
    sure = {id: [mark for mark in said[id] if mark.confidence >= least] for id in actual}
    has_shapes = kind != "IMAGE_CLASSIFICATION" and any(mark.shape for marks in sure.values() for mark in marks)
    compare = comparison.compare_shapes if has_shapes else comparison.compare_labels
    return [compare(actual[id], marks) for id, marks in sure.items()]
