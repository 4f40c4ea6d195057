"""Imports whose worker crashes, and that another one continues."""

from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from db import jobs
from db.datasets import check
from db.ingest import imports
from tests.db import crash_injection
from tests.db.crash_injection import CrashPoint
from tests.db.import_fixture import ImportJobs

FOLDERS = count()

Importer = TypeVar("Importer", bound=ImportJobs)
Begin = Callable[[], Awaitable[tuple[Importer, int]]]  # a new dataset, and an import into it that no worker has yet
State = Callable[[Importer, int], Awaitable[Any]]  # all that a user could see of both, apart from ids and times


def new_folder(folder: Path) -> Path:
    """A folder in this one, with an empty folder `images`."""
    made = folder / f"{next(FOLDERS)}"
    (made / "images").mkdir(parents=True)
    return made


async def live(importer: ImportJobs, job_id: int, step: int | None = None) -> bool:
    """A worker's life with the import, up to a crash at this step. Whether it came to the end."""
    return await crash_injection.live(importer.dataset.database, importer.folder, job_id, CrashPoint(step), imports.run)


async def recover(importer: ImportJobs, job_id: int) -> None:
    """What the next worker does."""
    await jobs.sweep(importer.dataset.database)
    assert await live(importer, job_id)


async def clean_run(begin: Begin[Importer], state: State[Importer]) -> Any:
    importer, job_id = await begin()
    assert await live(importer, job_id)
    return await state(importer, job_id)


async def crash_at_each_step(begin: Begin[Importer], state: State[Importer], *, first: int = 0) -> int:
    """Each crash leaves what a clean run does. Returns the number of steps."""
    clean = await clean_run(begin, state)
    for step in count(first):
        importer, job_id = await begin()
        if await live(importer, job_id, step):
            return step
        await recover(importer, job_id)
        assert await state(importer, job_id) == clean, f"after a crash at step {step}"
    raise AssertionError


async def state_of_any(importer: ImportJobs, job_id: int) -> dict[str, Any]:
    """The part of a state that is the same for all imports."""
    job = await importer.dataset.job(job_id)
    async with importer.dataset.database.reading() as connection:
        wrong = await check.recount(connection, importer.dataset.dataset_id)
    return {
        "status": (job["status"], job["progress"], job["format"]),
        "changes": await importer.dataset.changes(),
        "wrong": wrong,
        "left over": len(await importer.dataset.rows("SELECT FROM import_line")),
    }
