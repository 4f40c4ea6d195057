from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.enums import ErrorCode, IgnoredReason, JobStatus
from schema.types.node import LazyDataset, Node
from schema.types.pagination import connection_of

if TYPE_CHECKING:
    from schema.types.version import Version


@strawberry.type(description="Why a job failed.")
class JobError:
    code: ErrorCode = strawberry.field(description="Stable code, for programs.")
    message: str = strawberry.field(description="A sentence for people.")
    would_remove_count: int | None = strawberry.field(
        description="Of TOO_MANY_REMOVED: how many samples the sync would have removed; null of other errors."
    )
    sample_count: int | None = strawberry.field(
        description="Of TOO_MANY_REMOVED: how many samples the dataset has; null of other errors."
    )


@strawberry.interface(description="Long work that goes on after the request that asked for it.")
class Job(Node):
    status: JobStatus = strawberry.field(description="How far it is.")
    dataset: LazyDataset = strawberry.field(description="The dataset it works on.")
    progress: float | None = strawberry.field(
        description="0–1, never falling; null while the amount of work is not known yet."
    )
    requested_by: str = strawberry.field(description="Who asked for it: the name of a token.")
    created_at: datetime = strawberry.field(description="When it was asked for.")
    started_at: datetime | None = strawberry.field(description="When a worker first took it up.")
    finished_at: datetime | None = strawberry.field(description="When it came to its end.")
    error: JobError | None = strawberry.field(description="Why it failed; null unless it did.")


@strawberry.type(description="A problem with one file or line, after which a sync or an import went on.")
class JobWarning:
    path: str = strawberry.field(
        description="The file below the input path, or the manifest, with `:line` where that helps."
    )
    message: str = strawberry.field(description="What is wrong with it, as a sentence.")
    count: int = strawberry.field(
        description="How often it was met. A name that no label of the dataset can have is one warning, with the path "
        "where it was met first; every other warning is about one file or line, and its count is 1."
    )


@strawberry.type(description="Files that a sync passed over for one reason.")
class IgnoredFiles:
    reason: IgnoredReason = strawberry.field(description="Why.")
    suffix: str | None = strawberry.field(
        description="For SUFFIX the suffix in lower case with its dot, empty for names without one; null for the group "
        "of all suffixes beyond the first 100. Null for other reasons."
    )
    count: int = strawberry.field(description="How many they are.")
    examples: list[str] = strawberry.field(description="Paths of some of them below the input path, at most 10.")


@strawberry.type(description="A sync: the working set is merged with what lies in the input path.")
class SyncJob(Job, Node):
    scanned_count: int = strawberry.field(description="Files seen in the input path so far.")
    added_count: int = strawberry.field(description="Samples that are new.")
    updated_count: int = strawberry.field(
        description="Samples whose image, or whose labels or shapes by sidecar, changed."
    )
    removed_count: int = strawberry.field(description="Samples whose file is gone.")
    moved_count: int = strawberry.field(description="Samples whose file has another path now; they keep id and labels.")
    skipped_count: int = strawberry.field(
        description="Images that could not be read or are too large; each has a warning."
    )
    ignored_count: int = strawberry.field(
        description="Files, and links and directories, that were passed over; `ignoredFiles` says why."
    )
    ignored_files: list[IgnoredFiles] = strawberry.field(
        description="What was passed over, in at most 120 groups by reason and suffix, the largest first. Known when "
        "the input path is listed."
    )

    warnings = connection_of(JobWarning, "What went wrong with single files, in the order it was met, at most 10,000.")


@strawberry.type(description="An import: what a manifest says goes into the working set.")
class ImportJob(Job, Node):
    read_count: int = strawberry.field(description="Lines of the manifest read so far; blank ones do not count.")
    added_count: int = strawberry.field(description="Samples that are new.")
    updated_count: int = strawberry.field(
        description="Samples that were there and got other labels, another usage, or another mark as hard example."
    )
    labeled_count: int = strawberry.field(description="Of both, those that got labels.")
    skipped_count: int = strawberry.field(description="Lines that came to nothing; each has a warning.")

    warnings = connection_of(
        JobWarning,
        "What went wrong with single lines, in the order it was met, at most 10,000. `path` is the "
        "manifest's name and the line's number, such as `V001.manifest:12`.",
    )


@strawberry.type(
    description="The writing of a version's manifest to the output path. Storage that fails is tried again a few "
    "times; then the job is FAILED, and `writeManifest` starts another."
)
class ManifestJob(Job, Node):
    version: Annotated["Version", strawberry.lazy("schema.types.version")] | None = strawberry.field(
        description="The version; null once it was deleted."
    )
