"""createLabels, updateLabel, renameLabel, deleteLabels."""

import strawberry

from db.labelling import labels
from db.labelling.labels import LabelValues
from schema.enums import DeleteLabelMode, RenameConflict, enum_name
from schema.mutations.payloads import WithChange, WithDryRun, WithSources
from schema.mutations.resolver import Info, global_id, number, values, write
from schema.mutations.sources import delete_sources
from schema.references import reference, references
from schema.types.label import Label


@strawberry.input(description="A label to create.")
class LabelInput:
    name: str = strawberry.field(
        description="Name, case-sensitive and unique in the dataset. It follows the dataset's `labelNames`: by default "
        "1–32 characters of `A–Z a–z 0–9 _ -` and Han ideographs."
    )
    color: str | None = strawberry.field(default=None, description="Display colour: `#rrggbb`. Null for none.")
    shortcut: str | None = strawberry.field(
        default=None, description="Keyboard shortcut: one visible character, unique in the dataset. Null for none."
    )


@strawberry.input(description="The labels to create.")
class CreateLabelsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    labels: list[LabelInput] = strawberry.field(description="1–1,000 labels. Each name and shortcut must be unique.")


@strawberry.type(description="Return type of `createLabels`.")
class CreateLabelsPayload(WithChange):
    labels: list[Label] = strawberry.field(description="The new labels, in the order of the input.")


@strawberry.input(
    description="The label to update, and the new values. Omitted fields stay unchanged; null removes the value."
)
class UpdateLabelInput:
    label_id: strawberry.ID = strawberry.field(description="Global id of the label.")
    color: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="Display colour: `#rrggbb`. Null for none."
    )
    shortcut: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="Keyboard shortcut: one visible character, unique in the dataset. Null for none."
    )


@strawberry.type(description="Return type of `updateLabel`.")
class UpdateLabelPayload(WithChange):
    label: Label = strawberry.field(description="The label after the mutation.")


@strawberry.input(description="The label to rename, and the new name.")
class RenameLabelInput:
    label_id: strawberry.ID = strawberry.field(description="Global id of the label.")
    name: str = strawberry.field(
        description="The new name. It follows the dataset's `labelNames`. If the label has this name already, nothing "
        "changes."
    )
    on_conflict: RenameConflict = strawberry.field(
        default=RenameConflict.ERROR, description="What to do if another label has the new name."
    )
    dry_run: bool = strawberry.field(
        default=False, description="Return what the mutation would do, and change nothing."
    )


@strawberry.type(description="Return type of `renameLabel`. For a dry run, what the mutation would do.")
class RenameLabelPayload(WithDryRun):
    label: Label = strawberry.field(
        description="The label that has the new name; after a merge, the one that had it before. For a dry run, in its "
        "current state."
    )
    affected_sample_count: int = strawberry.field(
        description="Number of samples that have the renamed label. 0 if it had the name already."
    )


@strawberry.input(description="The labels to delete.")
class DeleteLabelsInput:
    label_ids: list[strawberry.ID] = strawberry.field(description="1–1,000 global ids of labels of one dataset.")
    mode: DeleteLabelMode = strawberry.field(description="What to delete together with the labels.")
    dry_run: bool = strawberry.field(
        default=False, description="Return what the mutation would do, and change nothing."
    )


@strawberry.type(description="Return type of `deleteLabels`. For a dry run, what the mutation would do.")
class DeleteLabelsPayload(WithSources):
    deleted_label_ids: list[strawberry.ID] = strawberry.field(description="Ids of the deleted labels.")
    affected_sample_count: int = strawberry.field(
        description="Number of samples that had one of the labels, including deleted samples."
    )
    deleted_sample_count: int = strawberry.field(description="Number of deleted samples.")


@strawberry.mutation(
    description="Creates labels, all or none. Refused with INVALID_NAME, LABEL_ALREADY_EXISTS or "
    "SHORTCUT_ALREADY_EXISTS."
)
async def create_labels(info: Info, input: CreateLabelsInput) -> CreateLabelsPayload:
    id, new = number(input.dataset_id, "Dataset"), [values(LabelValues, label) for label in input.labels]
    outcome = await write(info, labels.create, id, new, by=info.context.identity)
    return CreateLabelsPayload(
        labels=references("Label", outcome.labels),
        dataset=reference("Dataset", outcome.dataset_id),
        change=reference("Change", outcome.change),
    )


@strawberry.mutation(description="Changes a label's colour or shortcut.")
async def update_label(info: Info, input: UpdateLabelInput) -> UpdateLabelPayload:
    by, id = info.context.identity, number(input.label_id, "Label")
    look = {name: given.value for name in ("color", "shortcut") if (given := getattr(input, name)) is not None}
    outcome = await write(info, labels.update, id, look, by=by)
    return UpdateLabelPayload(
        label=reference("Label", outcome.label),
        dataset=reference("Dataset", outcome.dataset_id),
        change=reference("Change", outcome.change),
    )


@strawberry.mutation(
    description="Renames a label on all its samples at once. Takes the same time for any number of samples, except for "
    "a merge."
)
async def rename_label(info: Info, input: RenameLabelInput) -> RenameLabelPayload:
    by, id, conflict = info.context.identity, number(input.label_id, "Label"), enum_name(input.on_conflict)
    outcome = await write(info, labels.rename, id, to=input.name, by=by, on_conflict=conflict, dry_run=input.dry_run)
    return RenameLabelPayload(
        label=reference("Label", outcome.label),
        affected_sample_count=outcome.affected_samples,
        dataset=reference("Dataset", outcome.dataset_id),
        change=reference("Change", outcome.change),
    )


@strawberry.mutation(
    description="Deletes labels of one dataset and, depending on `mode`, samples. Deleting several labels at once has "
    "the same effect as deleting them one after another."
)
async def delete_labels(info: Info, input: DeleteLabelsInput) -> DeleteLabelsPayload:
    by, ids = info.context.identity, [number(id, "Label") for id in input.label_ids]
    outcome = await write(info, labels.delete, ids, mode=enum_name(input.mode), by=by, dry_run=input.dry_run)
    return DeleteLabelsPayload(
        deleted_label_ids=[global_id("Label", label) for label in outcome.labels],
        affected_sample_count=outcome.affected_samples,
        deleted_sample_count=outcome.deleted_samples,
        **await delete_sources(info, outcome, outcome.deleted_samples),
    )
