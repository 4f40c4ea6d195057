"""Opening a unit of work from a resolver."""

from enum import Enum
from typing import Any, TypeVar

import strawberry

from db.history import idempotency, transactions
from db.history.idempotency import Keyed
from db.history.transactions import Work
from db.queries import ids
from schema.context import Context

T = TypeVar("T")
Info = strawberry.Info[Context, Any]


async def write(info: Info, work: Work[T], outcome: type[T]) -> T:
    """Do the work in a transaction of its own, and once only if the request carries a key."""
    context = info.context
    done = await transactions.write(context.database, work, outcome, keyed(info))
    if not idempotency.is_final(done):
        context.unfinished.append(str(info.path.key))
    if getattr(done, "change", None) is not None:
        context.events.dataset_changed(done.dataset_id)  # type: ignore[attr-defined]
    return done


def keyed(info: Info) -> Keyed | None:
    """The key of this field of the request, if the request carries one."""
    context, key = info.context, info.context.idempotency_key
    return Keyed(context.identity.token_id, key, str(info.path.key), context.request_hash) if key else None


async def earlier(info: Info, outcome: type[T]) -> T | None:
    """The outcome of this field of a keyed request, if it was carried out before."""
    key = keyed(info)
    return None if key is None else await idempotency.find_outcome(info.context.database, key, outcome)


async def is_done(info: Info, outcome: type[T]) -> bool:
    """Whether the outcome of an earlier request is all that is needed."""
    found = await earlier(info, outcome)
    return found is not None and idempotency.is_final(found)


def word(choice: Enum) -> Any:
    """The name of an enum's value: what `db` calls it."""
    return choice.name


def number(id: strawberry.ID, type_name: str) -> int:
    """The number of a global id of this type; 0, which nothing has, for any other text."""
    return ids.decode(id, type_name) or 0


def global_id(type_name: str, number: int) -> strawberry.ID:
    return strawberry.ID(ids.encode(type_name, number))


def given(description: str = "What to do, and to what.") -> Any:
    """The one argument that every mutation takes."""
    return strawberry.argument(description=description)
