"""undoChange."""

import strawberry

from db.errors import Invalid
from db.history.undo import Undone, undo, undo_job
from db.queries import ids
from schema.mutations.payloads import OfDataset
from schema.mutations.resolver import Info, number, write
from schema.references import reference
from schema.types.change import Change


@strawberry.input(description="What to undo: either `changeId` or `jobId`.")
class UndoChangeInput:
    change_id: strawberry.ID | None = strawberry.field(default=None, description="Global id of the change.")
    job_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Global id of an import, a sync or an auto labelling that has ended: all of its changes are "
        "undone, the latest first, as one change, or none of them. Those that were undone before stay undone.",
    )


@strawberry.type(description="Return type of `undoChange`.")
class UndoChangePayload(OfDataset):
    change: Change = strawberry.field(description="The change that undid it. It can be undone, too.")


@strawberry.mutation(
    description="Undoes one change of the working set, or all changes of a job, also if they are not the latest, and "
    "keeps all other changes. Samples, labels and annotations are restored with their ids. Refused with "
    "CONFLICT if later changes affect the same objects: undo those in `details.changes` first. Refused with "
    "VALIDATION_FAILED if the change deleted source files or the job changed nothing, with DATASET_BUSY while the job "
    "is active. A token with the scope LABEL may undo its own labelling, and its own undoing of it; other changes are "
    "refused with FORBIDDEN."
)
async def undo_change(info: Info, input: UndoChangeInput) -> UndoChangePayload:
    by = info.context.identity
    outcome: Undone
    match input.change_id, input.job_id:
        case str(change_id), None:
            outcome = await write(info, undo, number(change_id, "Change"), by=by)
        case None, str(job_id):
            type_name, id = ids.kind(job_id), ids.parse(job_id).number
            outcome = await write(info, undo_job, id, by=by, type_name=type_name)
        case _:
            raise Invalid("Give either `changeId` or `jobId`.", path="changeId")
    return UndoChangePayload(
        change=reference("Change", outcome.change), dataset=reference("Dataset", outcome.dataset_id)
    )
