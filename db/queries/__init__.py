"""The read compiler: a selection of fields → one SQL statement → JSON text. It knows no GraphQL library.

selection        the selected fields               json_text    JSON text, made by Postgres
types/, roots    how each field is compiled        rows         where rows come from
filters/         sample filters                    connections  pages of long lists
compile_context  the state, and an answer's size   pagination   orders, cursors and page sizes
plan             the compiled statement            execution    executing it
parameters       values that come with a request   ids          global ids
"""

from db.queries.compile_context import Field, ObjectType
from db.queries.execution import read
from db.queries.parameters import CallLimits, Inputs, Parameter
from db.queries.plan import (
    REFERENCE,
    ArgumentError,
    Plan,
    compile_query,
    compile_reference,
    compile_references,
    type_of,
)
from db.queries.registry import TYPES
from db.queries.selection import SelectedField

__all__ = [
    "REFERENCE",
    "TYPES",
    "ArgumentError",
    "CallLimits",
    "Field",
    "Inputs",
    "ObjectType",
    "Parameter",
    "Plan",
    "SelectedField",
    "compile_query",
    "compile_reference",
    "compile_references",
    "read",
    "type_of",
]
