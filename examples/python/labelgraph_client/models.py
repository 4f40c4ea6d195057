"""Names for what several operations answer."""

from typing import Any, Protocol

from labelgraph_client.base import Unknown
from labelgraph_client.generated.enums import JobStatus
from labelgraph_client.generated.fragments import (
    AutoLabelJob,
    BoundingBox,
    ChangeEvent,
    Circle,
    ExportJob,
    ImportJob,
    Job,
    JobEvent,
    LargeChangeJob,
    ManifestJob,
    ManifestWrittenEvent,
    Point,
    Polygon,
    Polyline,
    SyncJob,
    VersionDeletedEvent,
    VersionPublishedEvent,
)

AnyJob = Job | SyncJob | ImportJob | ExportJob | ManifestJob | LargeChangeJob | AutoLabelJob
AnyShape = BoundingBox | Polygon | Polyline | Circle | Point | Unknown
Event = ChangeEvent | JobEvent | VersionPublishedEvent | VersionDeletedEvent | ManifestWrittenEvent


class PageInfo(Protocol):
    has_next_page: bool
    end_cursor: str | None


class Connection(Protocol):
    """A page of a list."""

    @property
    def nodes(self) -> Any: ...

    @property
    def page_info(self) -> PageInfo: ...


class StartedJob(Protocol):
    id: str
    status: JobStatus
