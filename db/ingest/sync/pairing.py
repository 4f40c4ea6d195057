"""Between listing and plan: images get their sidecars, and what is left over is written down."""

from typing import Final

import orjson

from db.ingest.sync.ignored import EXAMPLES, Ignored, Reason
from db.ingest.sync.listing import Listing
from db.jobs import LONG_TIMEOUT, Batch, Claim
from db.postgres import sql

SQL: Final = sql.load(__file__)

KEPT: Final = "Samples whose files this dataset now passes over: {}. They stay; `deleteSamples` removes them."


async def pair(batch: Batch, job: Claim, listing: Listing) -> int:
    """How many files are ignored. Part of the plan's transaction: done again, it counts the same."""
    await _keep(batch, job)
    await batch.execute_long(SQL.pair, job.id)
    await batch.execute_long("ANALYZE (SKIP_LOCKED) sync_sidecar")
    left = Ignored()
    for row in await batch.connection.fetch(SQL.ignored, job.id, EXAMPLES, timeout=LONG_TIMEOUT):
        left.take(Reason(row["reason"]), row["count"], row["examples"])
    rows = listing.ignored.rows(left)
    await batch.connection.execute(SQL.forget, job.id)
    columns = [[row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]]
    examples = [orjson.dumps(row[3]).decode() for row in rows]
    await batch.connection.execute(SQL.write, job.id, *columns, examples)
    return listing.ignored.total + left.total


async def _keep(batch: Batch, job: Claim) -> None:
    await batch.connection.execute("SET LOCAL statement_timeout = 0")
    kept = await batch.connection.fetchrow(SQL.keep, job.id, job.dataset_id, timeout=LONG_TIMEOUT)
    if kept is not None and kept["count"]:
        batch.warn(kept["first"], KEPT.format(kept["count"]))
