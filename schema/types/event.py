import strawberry

from schema.job_enums import JobStatus
from schema.types.change import Change
from schema.types.job import Job
from schema.types.version import Version


@strawberry.interface(description="Something that happened to a dataset: what `datasetEvents` sends.")
class DatasetEvent:
    cursor: str = strawberry.field(
        description="Position of the event. To continue after it, pass it to `datasetEvents` as `after`."
    )


@strawberry.type(description="The working set changed: its samples, labels or annotations.")
class ChangeEvent(DatasetEvent):
    change: Change = strawberry.field(description="The change.")


@strawberry.type(description="A job was requested, or its status changed.")
class JobEvent(DatasetEvent):
    job: Job = strawberry.field(description="The job, as it is now.")
    status: JobStatus = strawberry.field(
        description="The status that the job got with this event. `job { status }` can be a later one."
    )


@strawberry.type(description="A version was published.")
class VersionPublishedEvent(DatasetEvent):
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")
    version: Version | None = strawberry.field(description="The version, as it is now. Null if it was deleted since.")


@strawberry.type(description="A version was deleted.")
class VersionDeletedEvent(DatasetEvent):
    version_id: strawberry.ID = strawberry.field(description="Global id of the deleted version.")
    name: str = strawberry.field(description="Name of the deleted version.")


@strawberry.type(description="The manifest of a version was written to the output path, for the first time or again.")
class ManifestWrittenEvent(DatasetEvent):
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")
    version: Version | None = strawberry.field(
        description="The version, with its `manifestPath`, as it is now. Null if it was deleted since."
    )


EVENT_TYPES = (ChangeEvent, JobEvent, VersionPublishedEvent, VersionDeletedEvent, ManifestWrittenEvent)
