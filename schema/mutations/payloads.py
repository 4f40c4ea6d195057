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
    "Refuse with CONFLICT unless the dataset is still at this revision; `details` hold the current `revision` and the "
    "ids of at most 100 `changes` since. Without it the last writer wins."
)
NOT_FOUND = "Those of the given ids that are no sample of this dataset; the others are done."


@strawberry.type
class OfDataset:
    dataset: Dataset = strawberry.field(description="The dataset as it is after the commit, its counts included.")


@strawberry.type
class WithChange(OfDataset):
    change: Change | None = strawberry.field(description="The change that was committed; null when nothing changed.")


@strawberry.type
class WithDryRun(WithChange):
    change: Change | None = strawberry.field(
        description="The change that was committed; null when nothing changed, and for a dry run."
    )


@strawberry.type
class Labelling(WithChange):
    matched_count: int = strawberry.field(description="How many samples were selected and found.")
    changed_count: int = strawberry.field(description="How many of them are otherwise than before.")
    unchanged_count: int = strawberry.field(
        description="How many of them were so already: `matchedCount` − `changedCount`."
    )
    not_found_ids: list[strawberry.ID] = strawberry.field(description=NOT_FOUND)
    samples: list[Sample] = strawberry.field(
        description="The samples as they are now: those found, in the order of the ids; with a filter the newest of "
        "those that matched, at most 100."
    )


@strawberry.type(description="Why one item of several was refused.")
class ItemError:
    code: ErrorCode = strawberry.field(description="What went wrong, for programs.")
    message: str = strawberry.field(description="What went wrong and what to do, as a sentence.")


@strawberry.type(description="A source file that could not be deleted.")
class SourceFailure:
    path: str = strawberry.field(description="The file, below the dataset's input path.")
    message: str = strawberry.field(description="Why it is still there, as a sentence.")


@strawberry.type
class WithSources(WithDryRun):
    deleted_source_count: int = strawberry.field(
        description="How many source files are deleted. Thousands may take longer than the answer: the rest follows."
    )
    failed_sources: list[SourceFailure] = strawberry.field(
        description="Source files that resisted, at most 1,000. They are tried again until they are gone, unless "
        "somebody replaced them in the meantime: those stay."
    )
    impacts: list[DeleteImpact] = strawberry.field(
        description="What the deleted files mean for others; empty if nobody else uses them."
    )


def labelling(outcome: Labelled, not_found: list[strawberry.ID]) -> dict[str, Any]:
    """The fields of a Labelling."""
    return {
        "matched_count": outcome.matched,
        "changed_count": outcome.changed,
        "unchanged_count": outcome.matched - outcome.changed,
        "not_found_ids": not_found,
        "samples": references("Sample", outcome.samples),
        "dataset": reference("Dataset", outcome.dataset_id),
        "change": reference("Change", outcome.change),
    }
