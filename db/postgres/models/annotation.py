from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Double, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, id_column, json, text_column, timestamp
from db.postgres.models.history import past_of


class Annotation(SQLModel, table=True):
    """A label of a sample, as it is now; with a shape in detection and segmentation datasets."""

    __tablename__ = "annotation"

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    sample_id: int = bigint(references="sample.id")
    label_id: int = bigint(references="label.id")
    labeled_by: str = text_column()
    labeled_at: datetime = timestamp(default=True)
    origin: str = text_column()
    confidence: float | None = Field(default=None, sa_type=Double)
    confirmed: bool = Field(default=True, sa_type=Boolean, sa_column_kwargs={"server_default": text("true")})
    shape: dict[str, Any] | None = json(nullable=True)
    since: int = bigint()
    attributes: dict[str, Any] | None = json(nullable=True)


annotation_past = past_of(Annotation)
