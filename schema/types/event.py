import strawberry

from schema.enums import JobStatus
from schema.types.change import Change
from schema.types.job import Job
from schema.types.version import Version


@strawberry.interface(description="Something that happened to a dataset.")
class DatasetEvent:
    cursor: str = strawberry.field(
        description="The position behind this event: pass the last one as `after` to continue."
    )


@strawberry.type(description="The working set was changed: samples, labels, or annotations.")
class ChangeEvent(DatasetEvent):
    change: Change = strawberry.field(description="The change.")


@strawberry.type(description="A job was requested, or its status changed.")
class JobEvent(DatasetEvent):
    job: Job = strawberry.field(description="The job as it is now.")
    status: JobStatus = strawberry.field(description="The status of the job after this event; `job` may be further.")


@strawberry.type(description="A version was published.")
class VersionPublishedEvent(DatasetEvent):
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")
    version: Version | None = strawberry.field(description="The version; null if it was deleted since.")


@strawberry.type(description="A version was deleted.")
class VersionDeletedEvent(DatasetEvent):
    version_id: strawberry.ID = strawberry.field(description="Global id that the version had.")
    name: str = strawberry.field(description="The name that the version had.")


@strawberry.type(description="The manifest of a version was written to the output path, perhaps again.")
class ManifestWrittenEvent(DatasetEvent):
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")
    version: Version | None = strawberry.field(
        description="The version, with its `manifestPath`; null if it was deleted since."
    )


EVENT_TYPES = (ChangeEvent, JobEvent, VersionPublishedEvent, VersionDeletedEvent, ManifestWrittenEvent)
