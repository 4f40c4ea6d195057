"""Finding labels, and locking them: in the order of their ids, so that no two writers wait for each other."""

from collections.abc import Iterable, Sequence
from typing import Final, Self

import asyncpg
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid, NotFound
from db.formats import names
from db.identity.tokens import Identity
from db.postgres import sql
from db.postgres.models import Dataset, Label

SQL: Final = sql.load(__file__)


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


async def lock_labels(session: AsyncSession, dataset_id: int, label_names: Iterable[str]) -> KnownLabels:
    """The ids of those names that are labels, locked until the commit: nobody renames, merges or deletes them."""
    storable = [name for name in label_names if names.is_storable(name)]
    return KnownLabels.of(await sql.run(session, SQL.lock_by_name, dataset_id=dataset_id, names=storable))


async def rule_of(session: AsyncSession, dataset_id: int) -> names.LabelNameRule:
    """The dataset's rule for label names. While the dataset is locked, nobody makes it stricter."""
    return (await lock_labels(session, dataset_id, ())).rule


async def dataset_of(session: AsyncSession, label_ids: Sequence[int], by: Identity) -> int:
    """The dataset that these labels belong to: one, which the token may see."""
    rows = await session.exec(
        select(Label.id, Label.dataset_id)
        .join(Dataset, col(Dataset.id) == col(Label.dataset_id))
        .where(col(Label.id).in_(label_ids), col(Dataset.deleted_at).is_(None))
    )
    datasets = {id: dataset_id for id, dataset_id in rows if by.sees(dataset_id)}
    missing = [id for id in label_ids if id not in datasets]
    if missing:
        raise no_such_ids(missing)
    if len(set(datasets.values())) > 1:
        raise Invalid("The labels of one call belong to one dataset; these are of several.")
    return datasets[label_ids[0]]


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
