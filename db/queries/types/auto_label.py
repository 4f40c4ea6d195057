"""Auto labelling jobs, and what came of them."""

from typing import Any

from sqlalchemy import ColumnElement, func
from sqlalchemy import literal_column as sql

from db.postgres.models import AutoLabel, AutoLabelConfusion, AutoLabelScore, AutoLabelThreshold
from db.queries.compile_context import CompileContext, Field, ObjectType, RowType, SelectedField
from db.queries.json_text import Encode, Parts, null_with, number, unescaped, value_or_null
from db.queries.rows import Row
from db.queries.types.fields import column, many, one, value
from db.queries.types.job import WARNINGS, job

NEEDS = {"VISION": "VISION_WORKER"}  # what a job waits for, by what it needs


def auto_label(context: CompileContext, job: Row) -> Row:
    """What an auto labelling job does."""
    return job.join(context.row(AutoLabel, job.state), lambda other: other["job_id"] == job["id"])


def of_auto_label(name: str, encode: Encode) -> Field:
    return Field(lambda context, job, _field: encode(auto_label(context, job)[name]))


def model(context: CompileContext, job: Row, field: SelectedField) -> Parts:
    row = auto_label(context, job)
    return value_or_null(context.one(field.fields, lambda other: [other["id"] == row["model_id"]], job.state))


def evaluation(context: CompileContext, job: Row, field: SelectedField) -> Parts:
    row = auto_label(context, job)
    return null_with(row["accuracy"], context.nested(row, field.fields))


def of_job(other: Row, row: Row) -> ColumnElement[bool]:
    """Whether a row belongs to the same job as that of an auto labelling."""
    return other["job_id"] == row["job_id"]


def waits_for(job: Row) -> ColumnElement[Any]:
    words = " ".join(f"WHEN '{need}' THEN '{word}'" for need, word in NEEDS.items())
    return sql(f"CASE {job.name}.waits_for {words} END")


def waiting(_context: CompileContext, job: Row, _field: SelectedField) -> Parts:
    return null_with(job["waits_for"], unescaped(waits_for(job)))


AUTO_LABEL_JOB = job(
    "AUTO_LABEL",
    "AutoLabelJob",
    modelKind=of_auto_label("model_kind", unescaped),
    model=Field(model, is_nullable=True),
    minConfidence=of_auto_label("min_confidence", number),
    sampleCount=of_auto_label("sample_count", number),
    readCount=column("scanned", number),
    suggestedCount=column("added", number),
    suggestedSampleCount=column("labeled", number),
    keptCount=column("kept", number),
    rejectedBeforeCount=column("missing", number),
    skippedCount=column("skipped", number),
    evaluation=Field(evaluation, is_nullable=True),
    leftOutLabels=many(lambda label, job: label["job_id"] == job["id"]),
    waitsFor=Field(waiting, is_nullable=True),
    warnings=WARNINGS,
)
AUTO_LABEL_EVALUATION = ObjectType(
    name="AutoLabelEvaluation",
    fields={
        "accuracy": column("accuracy", number),
        "sampleCount": column("evaluated_count", number),
        "labels": many(of_job),
        "confusion": many(of_job),
        "thresholds": many(of_job),
    },
)


def score(name: str, *, is_left_out: bool, **fields: Field) -> RowType:
    """The type of labels of a job that are left out, or are not."""
    return RowType(
        name=name,
        model=AutoLabelScore,
        fields={
            "name": column("name"),
            "label": one(lambda label, score: label["id"] == score["label_id"]),
            **fields,
        },
        where=lambda row: [row["is_left_out"] if is_left_out else ~row["is_left_out"]],
    )


LEFT_OUT_LABEL = score("LeftOutLabel", is_left_out=True, sampleCount=column("sample_count", number))
LABEL_EVALUATION = score(
    "LabelEvaluation",
    is_left_out=False,
    precision=column("precision", number, is_nullable=True),
    recall=column("recall", number, is_nullable=True),
    support=value(lambda row: func.coalesce(row["support"], sql("0")), number),
)
CONFUSION_COUNT = RowType(
    name="ConfusionCount",
    model=AutoLabelConfusion,
    fields={"actual": column("actual"), "predicted": column("predicted"), "count": column("count", number)},
)
THRESHOLD_EVALUATION = RowType(
    name="ThresholdEvaluation",
    model=AutoLabelThreshold,
    fields={
        "minConfidence": column("min_confidence", number),
        "share": column("share", number),
        "precision": column("precision", number, is_nullable=True),
    },
)
AUTO_LABEL_TYPES = (
    *(AUTO_LABEL_JOB, AUTO_LABEL_EVALUATION, LEFT_OUT_LABEL, LABEL_EVALUATION),
    *(CONFUSION_COUNT, THRESHOLD_EVALUATION),
)
