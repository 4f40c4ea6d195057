"""Fields that several payloads have. `reference(…)` names an object that is read after the commit."""

from typing import Any

import strawberry

from db.labelling.samples.label import Labelled
from schema.enums import ErrorCode
from schema.references import reference, references
from schema.types.change import Change
from schema.types.dataset import Dataset
from schema.types.delete_impact import DeleteImpact
from schema.types.sample import Sample

EXPECTED_REVISION = (
    "Refuse with CONFLICT unless the dataset is still at this revision; `details` have the current `revision` and the "
    "ids of at most 100 `changes` since. Without it, the last write wins."
)
NOT_FOUND = "The given ids that are not samples of this dataset. The other ids are processed."
NOT_FOUND_PATHS = "The given paths that no sample of this dataset has. The other paths are processed."


@strawberry.type
class OfDataset:
    dataset: Dataset = strawberry.field(description="The dataset after the mutation.")


@strawberry.type
class WithChange(OfDataset):
    change: Change | None = strawberry.field(description="The committed change. Null if nothing changed.")


@strawberry.type
class WithDryRun(WithChange):
    change: Change | None = strawberry.field(
        description="The committed change. Null if nothing changed, and for a dry run."
    )


@strawberry.type
class Labelling(WithChange):
    matched_count: int = strawberry.field(description="Number of selected samples that were found.")
    changed_count: int = strawberry.field(description="Number of matched samples that changed.")
    unchanged_count: int = strawberry.field(
        description="Number of matched samples that were already in the requested state: `matchedCount` − "
        "`changedCount`."
    )
    not_found_ids: list[strawberry.ID] = strawberry.field(description=NOT_FOUND)
    not_found_paths: list[str] = strawberry.field(description=NOT_FOUND_PATHS)
    samples: list[Sample] = strawberry.field(
        description="The matched samples after the mutation. Selected by ids or paths, all of them in that order; "
        "selected otherwise, the newest, at most 100."
    )


@strawberry.type(description="Why one of several items was refused.")
class ItemError:
    code: ErrorCode = strawberry.field(description="Stable code, for programs.")
    message: str = strawberry.field(description="What went wrong and what to do about it, in one sentence.")


@strawberry.type(description="A source file that could not be deleted.")
class SourceFailure:
    path: str = strawberry.field(description="Path of the file below the dataset's input path.")
    message: str = strawberry.field(description="Why it was not deleted, in one sentence.")


@strawberry.type
class WithSources(WithDryRun):
    deleted_source_count: int = strawberry.field(
        description="Number of deleted source files. If there are thousands, the rest may be deleted after the "
        "response."
    )
    failed_sources: list[SourceFailure] = strawberry.field(
        description="Source files that could not be deleted, at most 1,000. The server retries until they are deleted, "
        "unless they were replaced in the meantime: replaced files are kept."
    )
    impacts: list[DeleteImpact] = strawberry.field(
        description="What deleting the source files affects: one item, or none if nothing else uses them."
    )


def labelling(outcome: Labelled, not_found: list[strawberry.ID]) -> dict[str, Any]:
    """The fields of a Labelling."""
    return {
        "matched_count": outcome.matched,
        "changed_count": outcome.changed,
        "unchanged_count": outcome.matched - outcome.changed,
        "not_found_ids": not_found,
        "not_found_paths": list(outcome.not_found_paths),
        "samples": references("Sample", outcome.samples),
        "dataset": reference("Dataset", outcome.dataset_id),
        "change": reference("Change", outcome.change),
    }
