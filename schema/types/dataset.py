from datetime import datetime
from typing import Annotated

import strawberry

from schema.enums import DatasetType, DuplicateKind, ImageFormat, LabelNameRule
from schema.inputs.filters import ChangeFilter, JobFilter, SampleSelectionInput
from schema.types.change import Change
from schema.types.comparison import Comparison
from schema.types.delete_impact import DeleteImpact
from schema.types.duplicates import DuplicateGroupConnection
from schema.types.embedding import EmbeddingModel
from schema.types.job import Job
from schema.types.label import Label
from schema.types.model import Model
from schema.types.node import Node, compiled
from schema.types.pagination import After, Before, First, Last, connection_of, filtered_connection_of
from schema.types.sample import Sample
from schema.types.version import Statistics, Version, page_of_samples


@strawberry.type(
    description="What the token of the request may do with a dataset. A mutation can still be refused for another "
    "reason, such as DATASET_BUSY."
)
class DatasetPermissions:
    label: bool = strawberry.field(
        description="Label, annotate and update samples, suggest annotations and decide suggestions, create and update "
        "labels, and undo the token's own changes of these kinds."
    )
    undo: bool = strawberry.field(description="Undo all changes, including those of other tokens.")
    upload: bool = strawberry.field(description="Upload images.")
    sync: bool = strawberry.field(description="Start and cancel syncs and imports.")
    publish: bool = strawberry.field(
        description="Publish and delete versions, write manifests, and switch to a version."
    )
    manage: bool = strawberry.field(
        description="Everything else: rename and delete labels, delete samples, update and delete the dataset."
    )
    rename: bool = strawberry.field(
        description="Rename the dataset. A token that is limited to certain datasets may not."
    )


@strawberry.type(
    description="A set of images with labels. Its current samples, labels and annotations are its working set, which "
    "all users edit together."
)
class Dataset(Node):
    name: str = strawberry.field(description="Name, unique on this server: 1–100 characters of `A–Z a–z 0–9 _ -`.")
    description: str = strawberry.field(description="Free text, at most 256 characters.")
    type: DatasetType = strawberry.field(description="The kind of annotations in the dataset. Cannot be changed.")
    input_path: str = strawberry.field(
        description="Where the images are stored: a directory below one of the server's allowed roots, or "
        "`s3://bucket/prefix/`. Cannot be changed."
    )
    output_path: str | None = strawberry.field(
        description="Where published versions are written. Null if they are not written."
    )
    include: list[str] = strawberry.field(
        description="Patterns of the images that a sync includes; see `CreateDatasetInput.include`. Empty: all images "
        "that are not hidden."
    )
    exclude: list[str] = strawberry.field(
        description="Patterns of the images and label files that a sync ignores; see `CreateDatasetInput.exclude`."
    )
    label_names: LabelNameRule = strawberry.field(description="Which names the labels of the dataset may have.")
    image_formats: list[ImageFormat] = strawberry.field(
        description="The formats of images that syncs, imports and uploads add."
    )
    created_at: datetime = strawberry.field(description="When the dataset was created.")
    updated_at: datetime = strawberry.field(description="When the dataset or its working set last changed.")
    revision: int = strawberry.field(
        description="Number of committed changes of the working set. Pass it as `expectedRevision` to have a mutation "
        "refused if someone else changed the working set in the meantime."
    )
    viewer_can: DatasetPermissions = strawberry.field(
        description="What the token of the request may do with the dataset."
    )
    statistics: Statistics = strawberry.field(
        description="Number of samples in each state. Read from counters, so it is as fast as any other field."
    )
    labels: list[Label] = strawberry.field(
        description="All labels in the order of creation, including labels without samples."
    )

    @strawberry.field(description="The label with this name, or null.")
    def label(
        self, name: Annotated[str, strawberry.argument(description="The exact name, case-sensitive.")]
    ) -> Label | None:
        compiled()

    @strawberry.field(description="The sample with this path, or null.")
    def sample(
        self, path: Annotated[str, strawberry.argument(description="Path of the image below the dataset's input path.")]
    ) -> Sample | None:
        compiled()

    labelers: list[str] = strawberry.field(
        description="The names in `Sample.labeledBy` of all samples, each once, in code point order: the values for "
        "`SampleFilter.labeledBy`."
    )

    samples = strawberry.field(page_of_samples, description="The samples of the working set.")

    current_version: Version | None = strawberry.field(
        description="The version that the working set is based on: the one that was last published or switched to. "
        "Null before the first version, and after that version was deleted."
    )
    has_unpublished_changes: bool = strawberry.field(
        description="Whether the working set changed since it was equal to `currentVersion`, or at all if there is no "
        "current version. A change that was later reversed counts, too. `comparison` returns the differences."
    )

    @strawberry.field(description="The version with this name, or null.")
    def version(
        self, name: Annotated[str, strawberry.argument(description="The exact name, case-sensitive.")]
    ) -> Version | None:
        compiled()

    versions = connection_of(Version, "The published versions, newest first.")

    models = connection_of(
        Model, "The models that have suggested annotations, each version by itself, newest first, with their record."
    )

    @strawberry.field(
        description="The differences between two states of the dataset, by sample and by label. Refused with "
        "VERSION_NOT_FOUND for a version of another dataset."
    )
    def comparison(
        self,
        base_id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the version to compare from.")],
        head_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Global id of the version to compare to. Null: the working set."),
        ] = None,
    ) -> Comparison:
        compiled()

    @strawberry.field(
        description="What deleting these samples with their source files affects in other datasets and in versions, to "
        "be checked before a deletion with `deleteSources`. Changes nothing."
    )
    def delete_impact(
        self,
        select: Annotated[
            SampleSelectionInput, strawberry.argument(description="The samples: at most 1,000 ids, a filter, or all.")
        ],
    ) -> DeleteImpact:
        compiled()

    active_job: Job | None = strawberry.field(
        description="The sync or import that is queued or running for this dataset, unless it is a dry run of a sync. "
        "Null if there is none."
    )

    jobs = filtered_connection_of(Job, JobFilter, "The jobs of the dataset, newest first.")

    changes = filtered_connection_of(
        Change,
        ChangeFilter,
        "The committed changes of the working set, newest first, since the dataset was created.",
    )

    compares_looks: bool = strawberry.field(
        description="Whether a worker finds images that look alike, for `duplicates`."
    )

    @strawberry.field(
        description="Groups of samples of the working set whose images look alike. Needs `comparesLooks`; what is not "
        "compared yet is counted by `unhashedCount`."
    )
    def duplicates(
        self,
        by: Annotated[
            DuplicateKind, strawberry.argument(description="What the images of a group have in common.")
        ] = DuplicateKind.LOOKS,
        max_distance: Annotated[
            int,
            strawberry.argument(
                description="0–2: in how many of 64 bits the hashes of two images may differ. A group contains all "
                "that such steps lead to. More would bring together images that do not look alike."
            ),
        ] = 2,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> DuplicateGroupConnection:
        compiled()

    embedding_models: list[EmbeddingModel] = strawberry.field(
        description="The models whose embeddings are stored, the first one first."
    )
    event_cursor: str = strawberry.field(
        description="Cursor of the dataset's events at the time of this response. `datasetEvents` with it as `after` "
        "sends all events since then."
    )
