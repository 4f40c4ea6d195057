"""Manifests: a version as a file of one JSON object a line, as the reference system writes and reads them.

    <output path>/<dataset>-<id>/annotation/<version>/<version>.manifest
                                                     /annotation/<image>_<id>.xml    where images have shapes

A job writes it after publishing. Images are not copied; times are in UTC, without a zone. `db.imports` reads it back.
"""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs, statements
from db.manifests.writing import run

__all__ = ["request", "run"]

WANTED: Final = "SELECT true AS yes FROM dataset WHERE id = :id AND output_path IS NOT NULL"


async def request(session: AsyncSession, dataset_id: int, version_id: int, *, requested_by: str) -> None:
    """Have the manifest written, if the dataset has a place for it."""
    if await statements.first(session, WANTED, id=dataset_id):
        arguments = {"version": version_id}
        await jobs.enqueue(session, dataset_id, "MANIFEST", requested_by=requested_by, arguments=arguments)
