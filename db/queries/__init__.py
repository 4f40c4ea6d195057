"""The read compiler: a selection of fields → one SQL statement → JSON text. It knows no GraphQL library.

types/, roots    how each field is compiled        json_text    JSON text, made by Postgres
filters          sample filters                    rows         where rows come from
patterns         values of filters                 connections  pages of long lists
compile_context  selections, the state of a        pagination   orders, cursors and page sizes
                 compilation, an answer's size     ids          global ids
plan             compiling and executing           parameters   values that come with a request
refusals         refused fields, and null in their place
"""

from db.queries.compile_context import Field, ObjectType, Path, SelectedField
from db.queries.parameters import CallLimits, Inputs, Parameter
from db.queries.plan import REFERENCE, ArgumentError, Plan, compile_query, compile_reference, read, type_of
from db.queries.refusals import MARK, complete, paths_to, with_arguments, without
from db.queries.registry import TYPES
