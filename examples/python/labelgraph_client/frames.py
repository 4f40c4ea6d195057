"""Samples and annotations as tables of pandas."""

from collections.abc import Iterable
from typing import Any, Literal

import pandas

from labelgraph_client.generated.fragments import Annotation, Sample


def frame(samples: Iterable[Sample], rows: Literal["samples", "annotations"]) -> pandas.DataFrame:
    """A row for each sample, or for each annotation."""
    if rows == "samples":
        return pandas.DataFrame([sample_row(sample) for sample in samples])
    return pandas.DataFrame([annotation_row(sample, each) for sample in samples for each in sample.annotations])


def sample_row(sample: Sample) -> dict[str, Any]:
    values = sample.model_dump(mode="json", exclude={"labels", "annotations", "created_at", "added_at", "labeled_at"})
    return {
        **values,
        "labels": [label.name for label in sample.labels],
        "created_at": sample.created_at,
        "added_at": sample.added_at,
        "labeled_at": sample.labeled_at,
    }


def annotation_row(sample: Sample, annotation: Annotation) -> dict[str, Any]:
    """The shape as the API has it: `shape` is its type, and its values are columns."""
    values = annotation.model_dump(mode="json", exclude={"label", "labeled_at", "model", "shape"})
    shape = annotation.shape.model_dump(mode="json") if annotation.shape else {}
    return {
        "sample_id": sample.id,
        "path": sample.path,
        "label": annotation.label.name,
        **values,
        "model": annotation.model and annotation.model.name,
        "labeled_at": annotation.labeled_at,
        "shape": shape.pop("typename__", None),
        **shape,
    }
