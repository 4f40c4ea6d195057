"""Deleting source files after the commit, for as long as a client waits."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from db.labelling import labels
from db.labelling.samples import delete as samples
from db.storage import object_deletion
from db.storage.object_deletion import DeletionResult
from schema.mutations.payloads import SourceFailure
from schema.mutations.resolver import Info
from schema.references import reference, references
from schema.types.delete_impact import DeleteImpact

MAX_SECONDS: Final = 20  # then a worker continues


async def delete_sources(info: Info, outcome: labels.Deleted | samples.Deleted, count: int) -> dict[str, Any]:
    """Deletes the files of the change. The fields of a WithSources; of a dry run, as they would be."""
    planned, context = count if outcome.with_sources else 0, info.context
    result = DeletionResult(planned, ())
    if outcome.change is not None and planned:
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_SECONDS):
                await object_deletion.delete_objects(context.database, context.stores.open, change_id=outcome.change)
        result = await object_deletion.result_of(context.database, outcome.change)
    return {
        "deleted_source_count": result.deleted,
        "failed_sources": [SourceFailure(path=each.path, message=each.message) for each in result.failures],
        "impacts": [
            DeleteImpact(
                sample_count=impact.sample_count,
                shared_source_count=impact.shared_sources,
                versions=references("Version", impact.versions),
                datasets=references("Dataset", impact.datasets),
            )
            for impact in outcome.impacts
        ],
        "dataset": reference("Dataset", outcome.dataset_id),
        "change": reference("Change", outcome.change),
    }
