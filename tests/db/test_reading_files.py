"""How many threads read the files of a directory."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from db.errors import StorageError
from db.storage import local
from db.storage.local import LocalStore
from db.storage.objects import Head
from tests.waiting import TIMEOUT

PATHS = [f"{number}.jpg" for number in range(8)]


class SlowStore(LocalStore):
    """Each file takes as long as a slow disk does. All `together` have to read at the same time."""

    together = threading.Barrier(1)

    def _head_or_error(self, path: str, *arguments: Any) -> Head | StorageError:
        if int(path[0]) % 2 == 0:
            self.together.wait(TIMEOUT)
        time.sleep(2 * local.LONG)
        return super()._head_or_error(path, *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in PATHS:
        (tmp_path / path).write_text(path)
    return tmp_path


async def test_files_of_a_slow_disk_are_read_concurrently_from_the_second_portion_on(folder: Path) -> None:
    store = SlowStore(folder)
    for readers in (1, local.READERS, local.READERS):
        store.together = threading.Barrier(readers)
        heads = await store.heads(PATHS, length=10)
        assert [isinstance(head, Head) and head.data.decode() for head in heads] == PATHS
    assert store.disk.is_slow


async def test_files_that_take_python_longer_than_the_disk_are_read_by_one_thread(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(folder)
    store.disk.is_slow = True
    monkeypatch.setattr(local, "LONG", TIMEOUT)
    for threads in (local.READERS, 1):
        calls: list[object] = []
        run = store.disk.run
        with monkeypatch.context() as patch:
            patch.setattr(store.disk, "run", lambda *call, calls=calls, run=run: (calls.append(call), run(*call))[1])
            await store.heads(PATHS, length=10)
        assert len(calls) == threads
