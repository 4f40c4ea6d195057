"""undoChange."""

import strawberry

from db.history.undo import undo
from schema.mutations.payloads import OfDataset
from schema.mutations.resolver import Info, number, write
from schema.references import reference
from schema.types.change import Change


@strawberry.input(description="The change to undo.")
class UndoChangeInput:
    change_id: strawberry.ID = strawberry.field(description="Global id of the change.")


@strawberry.type(description="Return type of `undoChange`.")
class UndoChangePayload(OfDataset):
    change: Change = strawberry.field(description="The change that undid it. It can be undone, too.")


@strawberry.mutation(
    description="Undoes one change of the working set, also one that is not the latest, and keeps all other changes. "
    "Samples, labels and annotations are restored with their ids. Refused with CONFLICT if later changes affect the "
    "same objects: undo those in `details.changes` first. Refused with VALIDATION_FAILED if the change deleted source "
    "files. A token with the scope LABEL may undo its own labelling, and its own undoing of it; other changes are "
    "refused with FORBIDDEN."
)
async def undo_change(info: Info, input: UndoChangeInput) -> UndoChangePayload:
    outcome = await write(info, undo, number(input.change_id, "Change"), by=info.context.identity)
    return UndoChangePayload(
        change=reference("Change", outcome.change), dataset=reference("Dataset", outcome.dataset_id)
    )
