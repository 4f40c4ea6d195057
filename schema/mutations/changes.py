"""undoChange."""

import strawberry

from db.history.undo import undo
from schema.mutations.payloads import OfDataset
from schema.mutations.resolver import Info, number, write
from schema.references import reference
from schema.types.change import Change


@strawberry.input(description="A change to undo.")
class UndoChangeInput:
    change_id: strawberry.ID = strawberry.field(description="Global id of the change.")


@strawberry.type(description="The outcome of `undoChange`.")
class UndoChangePayload(OfDataset):
    change: Change = strawberry.field(description="The change that undid it, which can be undone itself.")


@strawberry.mutation(
    description="Takes back one change of the working set, wherever it is in the list, and leaves what others did. "
    "Samples, labels and annotations come back with their ids. Refused with CONFLICT when later changes touched "
    "the same, `details.changes` naming them: undo those first; and when source files were deleted."
)
async def undo_change(info: Info, input: UndoChangeInput) -> UndoChangePayload:
    outcome = await write(info, undo, number(input.change_id, "Change"), by=info.context.identity)
    return UndoChangePayload(
        change=reference("Change", outcome.change), dataset=reference("Dataset", outcome.dataset_id)
    )
