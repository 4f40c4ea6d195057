"""Threads of local disks: one that does not answer delays only requests for it."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.errors import Invalid, StorageError
from db.storage import Disk, Disks, DiskTimeout, LocalStore
from db.storage.disks import REFUSAL_INTERVAL, THREADS, progress
from db.storage.locations import AllowedLocations

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 60.0  # seconds


class Hang:
    """A system call that does not return until it is let."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.begun = threading.Semaphore(0)

    def __call__(self) -> str:
        self.begun.release()
        self.end.wait()
        return "late"


@pytest.fixture
def hang() -> Iterator[Hang]:
    made = Hang()
    yield made
    made.end.set()


async def test_gives_what_was_asked_or_raises_it() -> None:
    disk = Disk()
    assert await disk.run(max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        await disk.run(lambda: 1 / 0)


async def test_nobody_waits_for_ever(hang: Hang) -> None:
    disk = Disk(seconds=0.1)
    with pytest.raises(DiskTimeout, match="does not answer"):
        await disk.run(hang)
    assert await disk.run(max, 1, 2) == 2, "another thread serves it"


async def test_when_every_thread_waits_the_next_is_refused_at_once(hang: Hang) -> None:
    disk = Disk(seconds=0.1)
    answers = await asyncio.gather(*(disk.run(hang) for _ in range(THREADS * 3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [DiskTimeout] * THREADS * 3
    calls: list[int] = []
    disk.seconds = TIMEOUT
    disk._is_stuck = lambda: True  # type: ignore[method-assign]
    with pytest.raises(DiskTimeout):
        await disk.run(calls.append, 1)
    assert calls == []


async def test_refuses_one_after_the_other(hang: Hang) -> None:
    """However many were waiting, and however soon they ask again: a delay can only make it longer."""
    disk = Disk(seconds=0.1)
    for _ in range(2):
        begun = time.monotonic()
        await asyncio.gather(*(disk.run(hang) for _ in range(50)), return_exceptions=True)
        took = time.monotonic() - begun
        assert took >= 49 * REFUSAL_INTERVAL


async def test_a_full_disk_of_threads_is_known_by_their_silence(hang: Hang) -> None:
    disk = Disk(seconds=0.1)
    await asyncio.gather(*(disk.run(hang) for _ in range(THREADS)), return_exceptions=True)
    assert disk._is_stuck()
    hang.end.set()
    async with asyncio.timeout(TIMEOUT):
        while disk._is_stuck():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await disk.run(max, 1, 2) == 2


async def test_another_disk_and_other_threads_go_on(hang: Hang) -> None:
    hung, other = Disk(seconds=TIMEOUT), Disk()
    waiting = [asyncio.create_task(hung.run(hang)) for _ in range(THREADS * 5)]
    for _ in range(THREADS):
        await asyncio.to_thread(hang.begun.acquire, timeout=TIMEOUT)
    assert await other.run(max, 1, 2) == 2
    assert await asyncio.to_thread(max, 1, 2) == 2
    assert not any(task.done() for task in waiting)
    hang.end.set()
    assert await asyncio.gather(*waiting) == ["late"] * THREADS * 5


async def test_what_is_slow_but_goes_on_is_waited_for() -> None:
    disk, pause = Disk(seconds=0.2), threading.Event()

    def slow() -> str:
        for _ in range(10):
            pause.wait(0.05)
            progress()
        return "done"

    assert await disk.run(slow) == "done"


async def test_what_nobody_waits_for_any_more_is_not_begun(hang: Hang) -> None:
    disk, begun = Disk(seconds=TIMEOUT), list[int]()
    holding = [asyncio.create_task(disk.run(hang)) for _ in range(THREADS)]
    for _ in range(THREADS):
        await asyncio.to_thread(hang.begun.acquire, timeout=TIMEOUT)
    given_up = asyncio.create_task(disk.run(begun.append, 1))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    hang.end.set()
    await asyncio.gather(*holding)
    assert await disk.run(max, 1, 2) == 2
    assert begun == []


def test_a_hung_disk_does_not_keep_the_process_alive() -> None:
    program = """
import asyncio, threading
from db.storage import Disk, DiskTimeout

async def main():
    try:
        await Disk(seconds=0.1).run(threading.Event().wait)
    except DiskTimeout:
        print("no answer")

asyncio.run(main())
"""
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (0, "no answer\n")


def test_a_disk_is_what_is_mounted(tmp_path: Path) -> None:
    disks = Disks()
    assert disks.of("/proc/self") is disks.of("/proc")
    assert disks.of("/proc/self") is not disks.of(str(tmp_path))
    assert disks.of("/process") is disks.of("/")
    assert disks.resolving("/proc") is not disks.of("/proc")


async def test_a_root_that_became_a_link_is_not_there(tmp_path: Path) -> None:
    root, other = tmp_path / "a" / "root", tmp_path / "b"
    root.mkdir(parents=True)
    (other / "root").mkdir(parents=True)
    (other / "root" / "secret.jpg").write_bytes(b"x")
    store = LocalStore(root)
    (tmp_path / "a").rename(tmp_path / "gone")
    (tmp_path / "a").symlink_to(other)
    with pytest.raises(StorageError):
        await store.read("secret.jpg")


def test_a_known_path_is_judged_without_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def calls(*_: object, **__: object) -> None:
        raise AssertionError("the disk was asked")

    monkeypatch.setattr(Path, "exists", calls)
    monkeypatch.setattr(Path, "resolve", calls)
    monkeypatch.setattr("os.lstat", calls)
    assert AllowedLocations((tmp_path,)).known(f"{tmp_path}/a") == f"{tmp_path}/a"
    for outside in (f"{tmp_path}/../x", "/etc", "a"):
        with pytest.raises(Invalid, match="cannot be a dataset's path"):
            AllowedLocations((tmp_path,)).known(outside)
