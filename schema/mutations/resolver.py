"""What resolvers of mutations have in common: their argument, and the transaction in which they write."""

from enum import Enum
from typing import Annotated, Any, TypeVar

import strawberry

from db.history import idempotency, transactions
from db.history.idempotency import Keyed
from db.history.transactions import Work
from db.queries import ids
from schema.context import Context

T = TypeVar("T")
Info = strawberry.Info[Context, Any]
Input = Annotated[T, strawberry.argument(description="What to do, and to what.")]


async def write(info: Info, work: Work[T], outcome: type[T]) -> T:
    """Do the work in a transaction of its own, and once only if the request has an idempotency key."""
    context = info.context
    result = await transactions.write(context.database, work, outcome, keyed(info))
    if not idempotency.is_final(result):
        context.unfinished.append(str(info.path.key))
    if getattr(result, "change", None) is not None:
        context.events.dataset_changed(result.dataset_id)  # type: ignore[attr-defined]
    return result


def keyed(info: Info) -> Keyed | None:
    """The key of this field of the request, if the request has one."""
    context, key = info.context, info.context.idempotency_key
    return Keyed(context.identity.token_id, key, str(info.path.key), context.request_hash) if key else None


async def earlier_outcome(info: Info, outcome: type[T]) -> T | None:
    """The outcome of this field of a keyed request, if it was carried out before."""
    key = keyed(info)
    return None if key is None else await idempotency.find_outcome(info.context.database, key, outcome)


async def is_done(info: Info, outcome: type[T]) -> bool:
    """Whether an earlier request has a final outcome."""
    earlier = await earlier_outcome(info, outcome)
    return earlier is not None and idempotency.is_final(earlier)


def enum_name(member: Enum) -> Any:
    """The name of an enum's value, which is what `db` takes."""
    return member.name


def number(id: strawberry.ID, type_name: str) -> int:
    """The number of a global id of this type; 0, which no row has, for any other text."""
    return ids.decode(id, type_name) or 0


def global_id(type_name: str, number: int) -> strawberry.ID:
    return strawberry.ID(ids.encode(type_name, number))
