"""What resolvers of mutations have in common: their argument, and the transaction in which they write."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import strawberry

from db.errors import Invalid
from db.history import idempotency, transactions
from db.history.idempotency import Keyed
from db.labelling.labels import LabelReference
from db.queries import ids
from schema.context import Context
from schema.enums import enum_name

P = ParamSpec("P")
T = TypeVar("T")
Info = strawberry.Info[Context, Any]


async def write(
    info: Info, operation: Callable[Concatenate[Any, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Do an operation of `db` in a transaction of its own, and once only if the request has an idempotency key: its
    outcome is stored as the type that it declares to return."""
    outcome = operation.__annotations__["return"]
    result: T = await transactions.write(
        info.context.database, lambda session: operation(session, *args, **kwargs), outcome, keyed(info)
    )
    return written(info, result)


def written(info: Info, result: T) -> T:
    """The outcome of a write that is committed: subscribers are notified."""
    context = info.context
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


def values(type_: type[T], input: object, **others: Any) -> T:
    """A dataclass of `db`: `others`, and what the input has under the names of the other fields."""
    names = [field.name for field in fields(type_) if field.name not in others]  # type: ignore[arg-type]
    return type_(**others, **{name: enum_name(getattr(input, name)) for name in names})


def number(id: strawberry.ID, type_name: str) -> int:
    """The number of a global id of this type; 0, which no row has, for any other text."""
    return ids.decode(id, type_name) or 0


def whole_bytes(size: float, name: str) -> int:
    """A size, which may be too large for an Int."""
    if not size.is_integer():
        raise Invalid(f"`{name}` must be a whole number of bytes, and is {size:g}.", path=name)
    return int(size)


LABEL_IDS: Final = "Global ids of labels. Unlike a name, an id refers to the same label after a rename."


def label_references(names: Sequence[str], ids: Sequence[strawberry.ID]) -> list[LabelReference]:
    return [*names, *(number(id, "Label") for id in ids)]


def only_labels(names: Sequence[str] | None, ids: Sequence[strawberry.ID] | None) -> list[LabelReference]:
    """The labels that a change is restricted to; none where it is not. Raises EMPTY_SELECTION."""
    given = [*only(names, "labels", ids), *only(ids, "labelIds", names)]
    return label_references(names or (), ids or ()) if given else []


def only(values: Sequence[T] | None, name: str, others: Sequence[object] | None = None) -> Sequence[T]:
    """What a change is restricted to. Raises EMPTY_SELECTION for an empty list, which a page sends when everything
    was taken out of it: then nothing is meant, not everything."""
    if values is not None and not values and not others:
        raise Invalid(f"`{name}` is empty; leave it out to restrict nothing.", code="EMPTY_SELECTION", path=name)
    return values or ()


def label_reference(name: str | None, id: strawberry.ID | None, field: str) -> LabelReference:
    """Raises Invalid unless exactly one of the two is given: `field`, or its `…Id`."""
    match name, id:
        case str(), None:
            return name
        case None, str():
            return number(id, "Label")
    raise Invalid(f"Give either `{field}` or `{field}Id`.", path=field)


def global_id(type_name: str, number: int) -> strawberry.ID:
    return strawberry.ID(ids.encode(type_name, number))
