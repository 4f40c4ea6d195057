"""Values that come with a request: never in the SQL text, always bound to a placeholder."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, bindparam
from sqlalchemy.types import TypeEngine

from db import defaults
from db.identity.tokens import Identity
from db.identity.urls import Links

TRIGRAM = re.compile(r"[^\W_]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How much one call may ask for. The sizes of uploads are those of one file, of all files of a request, and of all
    that a dataset waits for."""

    max_ids: int = defaults.IDS
    max_answer_bytes: int = defaults.ANSWER
    max_file_bytes: int = defaults.UPLOAD_FILE
    max_request_bytes: int = defaults.UPLOAD_REQUEST
    max_staged_bytes: int = defaults.STAGED


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one execution of a plan takes from its request."""

    variables: Mapping[str, Any]
    identity: Identity
    links: Links
    limits: CallLimits = CallLimits()
    version: str = ""  # the server's


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """A value that is known when a plan is executed. A plan never depends on it, only on whether it is null; for a
    global id, on its `type`; for a list, on whether it has one item; and for a text, on whether it has a trigram."""

    read: Callable[[Inputs], Any]
    type: str | None = None
    has_one_item: bool = False
    has_trigram: bool = True


class Bind(Protocol):
    """Gives a placeholder for `make(*leaves)`; a leaf is a plain value, a Parameter, or a list of these."""

    def __call__(self, type_: TypeEngine[Any], make: Callable[..., Any], *leaves: Any) -> ColumnElement[Any]: ...


def bind_value(type_: TypeEngine[Any], make: Callable[..., Any], *leaves: Any) -> ColumnElement[Any]:
    """The Bind of statements that are executed once, with plain values: the writers'."""
    return bindparam(None, make(*leaves), type_=type_, unique=True)


def has_one_item(values: Sequence[Any] | Parameter) -> bool:
    return values.has_one_item if isinstance(values, Parameter) else len(values) == 1


def has_trigram(text: str | Parameter) -> bool:
    """Whether three letters or digits follow each other: what an index of substrings finds a text by."""
    return text.has_trigram if isinstance(text, Parameter) else TRIGRAM.search(text) is not None


def resolve(leaf: Any, inputs: Inputs) -> Any:
    match leaf:
        case Parameter():
            return leaf.read(inputs)
        case list() | tuple():
            return [resolve(item, inputs) for item in leaf]
    return leaf
