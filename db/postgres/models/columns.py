"""The kinds of columns."""

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Computed,
    DateTime,
    Double,
    Identity,
)
from sqlalchemy import Text as TextType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

BIGINT: Any = Field(sa_type=BigInteger)
KEY: Any = Field(sa_type=BigInteger, primary_key=True)
TEXT: Any = Field(sa_type=TextType)
ORDERED_TEXT: Any = Field(sa_type=TextType(collation="C"))  # compared by code point, whatever the server's locale
GENERATED_TEXT: Any = Field(sa_type=TextType(collation="C"), sa_column_args=[Computed("natural_order(path)")])
LABELS_KEY: Any = Field(sa_type=BigInteger, sa_column_args=[Computed("labels_key(label_ids)")])
FACETS_KEY: Any = Field(
    sa_type=BigInteger, sa_column_args=[Computed("facets_key(path, state, labeled_by, hard, usage)")]
)
TEXTS: Any = Field(sa_type=ARRAY(TextType))
TIMESTAMP: Any = Field(sa_type=DateTime(timezone=True))
JSON: Any = Field(sa_type=JSONB)
DOUBLE: Any = Field(sa_type=Double)
REALS: Any = Field(sa_type=ARRAY(REAL))

metadata = SQLModel.metadata


def assigned_key() -> Any:
    """A bigint that the database assigns."""
    return Field(primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=False)])
