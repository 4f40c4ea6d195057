"""Finding labels, and locking them: in the order of their ids, so that no two writers wait for each other."""

from collections.abc import Collection, Iterable, Sequence
from typing import Self

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid, NotFound
from db.formats import names
from db.identity.tokens import Identity
from db.postgres import sql

# One row of nulls where none of the names is a label's: the rule is told in any case.
IN_USE = """
    WITH used AS MATERIALIZED (
        SELECT id, name FROM label WHERE dataset_id = :dataset_id AND name = ANY(:names::text[])
        ORDER BY id FOR KEY SHARE
    )
    SELECT dataset.label_names, used.id, used.name FROM dataset LEFT JOIN used ON true WHERE dataset.id = :dataset_id
"""


class KnownLabels(dict[str, int]):
    """Ids of labels by their names, and the dataset's rule for names."""

    rule: names.LabelNameRule = "STANDARD"

    @classmethod
    def of(cls, rows: Iterable[asyncpg.Record]) -> Self:
        """Of rows with `label_names`, `id` and `name`."""
        found = cls()
        for row in rows:
            found.rule = row["label_names"]
            if row["id"] is not None:
                found[row["name"]] = row["id"]
        return found


async def in_use(session: AsyncSession, dataset_id: int, wanted: Collection[str]) -> KnownLabels:
    """The ids of those names that are labels, held until the commit: nobody renames, merges or deletes them."""
    storable = [name for name in wanted if names.is_storable(name)]
    return KnownLabels.of(await sql.run(session, IN_USE, dataset_id=dataset_id, names=storable))


async def rule_of(session: AsyncSession, dataset_id: int) -> names.LabelNameRule:
    """The dataset's rule for label names, which nobody makes stricter once it is entered."""
    return (await in_use(session, dataset_id, ())).rule


async def owner(session: AsyncSession, label_ids: Sequence[int], by: Identity) -> int:
    """The dataset that these labels are of: one, and one that the token may see."""
    statement = """
        SELECT label.id, dataset_id FROM label JOIN dataset ON dataset.id = dataset_id
        WHERE label.id = ANY(:ids::bigint[]) AND deleted_at IS NULL
    """
    rows = await sql.run(session, statement, ids=list(label_ids))
    owners = {row["id"]: row["dataset_id"] for row in rows if by.sees(row["dataset_id"])}
    missing = [id for id in label_ids if id not in owners]
    if missing:
        raise no_such_ids(missing)
    if len(set(owners.values())) > 1:
        raise Invalid("The labels of one call belong to one dataset; these are of several.")
    return int(next(iter(owners.values())))


def no_such_labels(missing: Sequence[str]) -> NotFound:
    listed = ", ".join(f"`{name}`" for name in map(names.excerpt, missing[:5])) + (" …" if len(missing) > 5 else "")
    return NotFound(
        f"The dataset has no label {listed}; create it with `createLabels`, or pass `createMissing: true`.",
        code="LABEL_NOT_FOUND",
        names=[names.excerpt(name) for name in missing],
    )


def no_such_ids(missing: Sequence[int]) -> NotFound:
    return NotFound(
        "There is no such label; list them with `dataset { labels }`.",
        code="LABEL_NOT_FOUND",
        ids=[f"Label:{id}" for id in missing],
    )
