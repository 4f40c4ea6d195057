"""What is pushed. Every event is read anew, so it is the state at that moment, from whichever replica it is asked."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import strawberry

from db import followed
from db.select import ids
from schema.context import Context
from schema.references import reference
from schema.types.job import Job, SyncJob

Info = strawberry.Info[Context, Any]

DATASET = "Global id of the dataset."
JOB = "Global id of the job."


@strawberry.type(description="What is pushed, over WebSocket (graphql-transport-ws) or server-sent events.")
class Subscription:
    @strawberry.subscription(
        description="The dataset's latest sync: first as it is now, then at every step, at least twice a second while "
        "it moves. Ends with the job; at once, if that has ended already."
    )
    async def sync_progress(
        self, info: Info, dataset_id: Annotated[strawberry.ID, strawberry.argument(description=DATASET)]
    ) -> AsyncGenerator[SyncJob, None]:
        context = info.context
        job = await followed.latest_sync(context.database, ids.decode(dataset_id, "Dataset") or 0, context.identity)
        async with aclosing(context.events.job_steps(job)) as steps:
            async for _ in steps:
                yield reference("SyncJob", job)

    @strawberry.subscription(description="A job: first as it is now, then at every step; ends with it.")
    async def job_progress(
        self, info: Info, job_id: Annotated[strawberry.ID, strawberry.argument(description=JOB)]
    ) -> AsyncGenerator[Job, None]:
        context = info.context
        job = await followed.job(context.database, ids.decode(job_id, "SyncJob") or 0, context.identity)
        async with aclosing(context.events.job_steps(job)) as steps:
            async for _ in steps:
                yield reference("SyncJob", job)
