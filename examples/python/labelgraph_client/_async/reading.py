"""Lists from their first page to their last, jobs to their end, and what happens to a dataset."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar, cast, overload

import httpx

from labelgraph_client._async.operations import AsyncOperations
from labelgraph_client.base import HasId, given, id_of
from labelgraph_client.errors import CANCELED, Attempts, LabelgraphError
from labelgraph_client.generated.enums import JobStatus
from labelgraph_client.generated.fragments import Change, Dataset, Job, Label, Model, Sample, Version
from labelgraph_client.generated.input_types import (
    ChangeFilter,
    DatasetByInput,
    DatasetFilter,
    JobFilter,
    NearInput,
    SampleFilter,
    SampleOrderInput,
)
from labelgraph_client.models import AnyJob, Connection, Event, StartedJob
from labelgraph_client.progress import Progress, reporter

PAGE: Final = 100  # items; the most that a server allows by default

T = TypeVar("T")
J = TypeVar("J", bound=StartedJob)


class AsyncReading(AsyncOperations):
    async def dataset(self, name_or_id: str) -> Dataset:
        found = await self.find_dataset(DatasetByInput(name=name_or_id))
        return found or dataset_of(await self.find_dataset(DatasetByInput(id=name_or_id)), name_or_id)

    async def version(self, dataset: HasId | str, name: str) -> Version:
        found = dataset_of(await self.find_version(id_of(dataset), name), dataset).version
        if found is None:
            raise LabelgraphError(f"There is no version {name}.", "VERSION_NOT_FOUND")
        return found

    async def labels(self, dataset: HasId | str) -> list[Label]:
        return dataset_of(await self.dataset_labels(id_of(dataset)), id_of(dataset)).labels

    async def datasets(self, *, filter: DatasetFilter | None = None) -> AsyncIterator[Dataset]:
        async def page(first: int, after: str | None) -> Connection:
            return await self.dataset_page(given(filter), first=first, after=after)

        async for dataset in self._all(page):
            yield dataset

    async def samples(
        self,
        of: HasId | str,
        *,
        filter: SampleFilter | None = None,
        order_by: SampleOrderInput | None = None,
        near: NearInput | None = None,
    ) -> AsyncIterator[Sample]:
        """The samples of a dataset, or of a version. `near` lists those of a dataset that look most like a sample."""

        async def page(first: int, after: str | None) -> Connection:
            found = await self.sample_page(
                id_of(of), given(filter), given(order_by), given(near), first=first, after=after
            )
            samples = getattr(found, "samples", None)
            if samples is None:
                raise LabelgraphError(f"There is no dataset or version {id_of(of)}.", "NOT_FOUND")
            return cast(Connection, samples)

        async for sample in self._all(page):
            yield sample

    async def versions(self, dataset: HasId | str) -> AsyncIterator[Version]:
        """The newest first, as are changes and jobs."""

        async def page(first: int, after: str | None) -> Connection:
            return dataset_of(await self.version_page(id_of(dataset), first=first, after=after), dataset).versions

        async for version in self._all(page):
            yield version

    async def models(self, dataset: HasId | str) -> AsyncIterator[Model]:
        """Those that have suggested something, with what people decided about it."""

        async def page(first: int, after: str | None) -> Connection:
            return dataset_of(await self.model_page(id_of(dataset), first=first, after=after), dataset).models

        async for model in self._all(page):
            yield model

    async def changes(self, dataset: HasId | str, *, filter: ChangeFilter | None = None) -> AsyncIterator[Change]:
        async def page(first: int, after: str | None) -> Connection:
            found = await self.change_page(id_of(dataset), given(filter), first=first, after=after)
            return dataset_of(found, dataset).changes

        async for change in self._all(page):
            yield change

    async def jobs(self, dataset: HasId | str, *, filter: JobFilter | None = None) -> AsyncIterator[Job]:
        async def page(first: int, after: str | None) -> Connection:
            found = await self.job_page(id_of(dataset), given(filter), first=first, after=after)
            return dataset_of(found, dataset).jobs

        async for job in self._all(page):
            yield job

    async def _all(self, page: Callable[[int, str | None], Awaitable[Connection]]) -> AsyncIterator[Any]:
        size, after = PAGE, None
        while True:
            try:
                found = await page(size, after)
            except LabelgraphError as error:
                size = smaller_page(size, error)
                continue
            for node in found.nodes:
                yield node
            if not found.page_info.has_next_page:
                return
            after = found.page_info.end_cursor

    @overload
    async def wait(self, job: J, *, progress: Progress | bool = False) -> J: ...
    @overload
    async def wait(self, job: str, *, progress: Progress | bool = False) -> AnyJob: ...
    async def wait(self, job: StartedJob | str, *, progress: Progress | bool = False) -> object:
        """The job when it has succeeded. If it fails or is canceled, an error."""
        show, attempts = reporter(progress), Attempts(self.patience)
        last: Any = None
        while last is None or last.status in (JobStatus.QUEUED, JobStatus.RUNNING):
            try:
                async for last in self.job_progress(job if isinstance(job, str) else job.id):
                    attempts.succeeded()
                    show(last.typename__, last.progress)
            except (httpx.RequestError, LabelgraphError) as error:
                await asyncio.sleep(attempts.pause(error))
        if last.status is JobStatus.CANCELED:
            raise LabelgraphError("The job was canceled.", CANCELED)
        if last.status is not JobStatus.SUCCEEDED:
            raise LabelgraphError(last.error.message, last.error.code)
        show(last.typename__, 1)
        return cast(AnyJob, last)

    async def follow(self, dataset: HasId | str, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """What happens to a dataset from now on, or after the `cursor` of an event, each event once.

        After a disconnection it goes on behind the last event, however long the server was away. It ends when the
        dataset is deleted.
        """
        if after is None:
            after = dataset_of(await self.event_cursor(id_of(dataset)), dataset).event_cursor
        attempts = Attempts(math.inf)
        while True:
            try:
                async for event in self.dataset_events(id_of(dataset), after=after):
                    attempts.succeeded()
                    after = event.cursor
                    yield cast(Event, event)
                return
            except (httpx.RequestError, LabelgraphError) as error:
                await asyncio.sleep(attempts.pause(error))


def smaller_page(size: int, error: LabelgraphError) -> int:
    """Where samples have very many annotations, or the server allows less. Raises any other error."""
    most = error.details.get("most", size)
    if error.code == "VALIDATION_FAILED" and 0 < most < size:
        return int(most)
    if error.code == "QUERY_TOO_COSTLY" and size > 1:
        return max(1, size // 4)
    raise error


def dataset_of(found: T | None, dataset: HasId | str) -> T:
    if found is None:
        raise LabelgraphError(f"There is no dataset {id_of(dataset)}.", "DATASET_NOT_FOUND")
    return found
