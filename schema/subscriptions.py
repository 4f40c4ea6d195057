"""Subscriptions. Every event is read again, so it shows the state at that moment, on every replica."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import strawberry

from db.history import subscriptions
from db.history.subscriptions import Event
from db.jobs import TYPE_NAMES
from db.queries import ids
from schema.context import Context
from schema.job_enums import JobStatus
from schema.references import reference, resumable
from schema.types.change import Change
from schema.types.event import (
    ChangeEvent,
    DatasetEvent,
    JobEvent,
    ManifestWrittenEvent,
    VersionDeletedEvent,
    VersionPublishedEvent,
)
from schema.types.job import Job, SyncJob

Info = strawberry.Info[Context, Any]

DATASET = "Global id of the dataset."
AFTER = (
    "Send changes after this revision first. Pass the last revision received to get every change exactly once. Null: "
    "only new changes."
)
JOB = "Global id of the job."
AFTER_CURSOR = (
    "Send events after this cursor first: the `cursor` of the last event, or `Dataset.eventCursor`. Null: only new "
    "events. Over server-sent events, the header Last-Event-ID takes precedence. Refused with INVALID_CURSOR for a "
    "cursor that is not of this dataset."
)


@strawberry.type(description="All subscriptions, over WebSocket (graphql-transport-ws) or server-sent events.")
class Subscription:
    @strawberry.subscription(
        description="The latest sync of the dataset, without dry runs: first as it is now, then again whenever it "
        "changed, at least twice a second while it progresses. Completes when the job ends, or at once if it has ended "
        "already. If the dataset was never synced, nothing is sent until its first sync is requested."
    )
    async def sync_progress(
        self, info: Info, dataset_id: Annotated[strawberry.ID, strawberry.argument(description=DATASET)]
    ) -> AsyncGenerator[SyncJob, None]:
        context = info.context
        job = await subscriptions.latest_sync(context.events, ids.decode(dataset_id, "Dataset") or 0, context.identity)
        if job is None:
            return
        async with aclosing(context.events.steps("job", job)) as steps:
            async for step in steps:
                yield reference("SyncJob", job, step=step)

    @strawberry.subscription(
        description="A job: first as it is now, then again whenever it changed. Completes when the job ends, or at "
        "once if it has ended already."
    )
    async def job_progress(
        self, info: Info, job_id: Annotated[strawberry.ID, strawberry.argument(description=JOB)]
    ) -> AsyncGenerator[Job, None]:
        context = info.context
        kind, number = ids.kind(job_id), ids.parse(job_id).number
        job = await subscriptions.job(context.events, number, context.identity, type_name=kind)
        async with aclosing(context.events.steps("job", job)) as steps:
            async for step in steps:
                yield reference(kind, job, step=step)

    @strawberry.subscription(
        description="All changes of the working set of the dataset, each once, in the order of revisions, without "
        "gaps. Completes when the dataset is deleted."
    )
    async def dataset_changes(
        self,
        info: Info,
        dataset_id: Annotated[strawberry.ID, strawberry.argument(description=DATASET)],
        after_revision: Annotated[int | None, strawberry.argument(description=AFTER)] = None,
    ) -> AsyncGenerator[Change, None]:
        events, id, by = info.context.events, ids.decode(dataset_id, "Dataset") or 0, info.context.identity
        now = await subscriptions.revision(events, id, by)
        revision = now if after_revision is None else after_revision
        async with aclosing(events.steps("dataset", id)) as steps:
            async for step in steps:
                async with aclosing(subscriptions.changes_after(events, id, revision, by=by, until=step)) as changes:
                    async for change, revision in changes:
                        yield reference("Change", change, step=revision)

    @strawberry.subscription(
        description="All events of a dataset: its changes, jobs that are requested or get another status, versions "
        "that are published or deleted, and manifests that are written. Each event is sent once, without gaps, and "
        "after the changes that were committed before it; a later subscription continues in the same order. Over "
        "server-sent events, the cursor is the `id` of each event. Completes when the dataset is deleted."
    )
    async def dataset_events(
        self,
        info: Info,
        dataset_id: Annotated[strawberry.ID, strawberry.argument(description=DATASET)],
        after: Annotated[str | None, strawberry.argument(description=AFTER_CURSOR)] = None,
    ) -> AsyncGenerator[DatasetEvent, None]:
        context, id = info.context, ids.decode(dataset_id, "Dataset") or 0
        events, by, behind = context.events, context.identity, context.last_event_id or after
        position = await subscriptions.position(events, id, by, after=behind)
        async with aclosing(events.steps("events", id)) as steps:
            async for step in steps:
                async with aclosing(subscriptions.events_after(events, position, by=by, until=step)) as found:
                    async for event in found:
                        position = event.position
                        yield resumable(_event(event))


def _event(event: Event) -> DatasetEvent:
    id, cursor = event.subject_id, event.position.cursor
    match event.kind:
        case "CHANGE":
            return ChangeEvent(cursor=cursor, change=reference("Change", id))
        case "VERSION_DELETED":
            return VersionDeletedEvent(cursor=cursor, version_id=_version_id(id), name=event.detail)
        case "VERSION_PUBLISHED":
            return VersionPublishedEvent(cursor=cursor, version_id=_version_id(id), version=reference("Version", id))
        case "MANIFEST_WRITTEN":
            return ManifestWrittenEvent(cursor=cursor, version_id=_version_id(id), version=reference("Version", id))
        case kind:
            job = reference(TYPE_NAMES[kind], id)
            return JobEvent(cursor=cursor, status=JobStatus[event.detail], job=job)


def _version_id(number: int) -> strawberry.ID:
    return strawberry.ID(ids.encode("Version", number))
