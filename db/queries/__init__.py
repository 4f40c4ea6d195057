"""The read compiler: a selection of fields → one SQL statement → JSON text. It knows no GraphQL library.

selection   what is asked for                 text        JSON text, made by Postgres
types/      what each readable field is       rows        where rows come from
roots       where reading begins              connections pages of long lists
plan        the compiled statement            build       the compiler's state
reading     executing it                      ids         global ids
"""

from db.queries.execution import read
from db.queries.parameters import CallLimits, Inputs, Param
from db.queries.plan import REFERENCE, Misplaced, Plan, query, reference, references, type_of
from db.queries.selection import Select

__all__ = [
    "REFERENCE",
    "CallLimits",
    "Inputs",
    "Misplaced",
    "Param",
    "Plan",
    "Select",
    "query",
    "read",
    "reference",
    "references",
    "type_of",
]
