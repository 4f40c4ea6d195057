"""The folder of thumbnails stays below its limit."""

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from api.files import open_files
from api.files.disk_cache import BLOCK, DiskCache
from db.errors import StorageError
from tests.conftest import ROOT


def name(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def filled(folder: Path, count: int, *, max_bytes: int) -> DiskCache:
    """Files of a block each; the higher its number, the later it was used."""
    cache = DiskCache(folder, max_bytes)
    for number in range(count):
        cache.add(name(number), b"x" * 100)
        os.utime(folder / name(number)[:2] / name(number)[2:], (1_000 + number, 1_000 + number))
    return cache


def left(cache: DiskCache, count: int) -> list[int]:
    paths = {number: cache.folder / name(number)[:2] / name(number)[2:] for number in range(count)}
    return [number for number, path in paths.items() if path.exists()]


def test_what_was_added_is_found(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "not there yet", 10 * BLOCK)
    assert cache.get(name(1)) is None
    cache.add(name(1), b"one")
    assert (cache.get(name(1)), cache.get(name(2))) == (b"one", None)


def test_a_sweep_deletes_the_least_recently_used_and_leaves_a_tenth_free(tmp_path: Path) -> None:
    cache = filled(tmp_path, 30, max_bytes=20 * BLOCK)
    assert cache.get(name(0)) is not None
    cache.sweep()
    assert left(cache, 30) == [0, *range(13, 30)]


def test_a_sweep_deletes_nothing_below_the_limit(tmp_path: Path) -> None:
    cache = filled(tmp_path, 20, max_bytes=20 * BLOCK)
    cache.sweep()
    assert len(left(cache, 20)) == 20


def test_what_a_killed_process_left_half_written_goes_as_well(tmp_path: Path) -> None:
    cache = filled(tmp_path, 5, max_bytes=4 * BLOCK)
    half = tmp_path / name(0)[:2] / "tmpabc"
    half.write_bytes(b"x")
    os.utime(half, (1, 1))
    cache.sweep()
    assert not half.exists()
    assert left(cache, 5) == [2, 3, 4]


def test_a_sweep_is_needed_after_a_twentieth_of_the_limit_was_added(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 40 * BLOCK)
    for number in range(2):
        cache.add(name(number), b"x")
    assert not cache.needs_sweep
    cache.add(name(2), b"x")
    assert cache.needs_sweep
    cache.sweep()
    assert not cache.needs_sweep


def test_with_a_limit_of_zero_nothing_is_cached(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 0)
    cache.add(name(1), b"one")
    assert cache.get(name(1)) is None
    assert list(tmp_path.iterdir()) == []


def test_while_another_process_sweeps_no_other_waits(tmp_path: Path) -> None:
    cache = filled(tmp_path, 5, max_bytes=1 * BLOCK)
    with (tmp_path / "sweeping").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache.sweep()
        assert len(left(cache, 5)) == 5
    cache.sweep()
    assert left(cache, 5) == []


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file", 10 * BLOCK)
    cache.add(name(1), b"one")
    cache.sweep()
    assert cache.get(name(1)) is None


def test_files_that_are_read_count_although_they_are_deleted(tmp_path: Path) -> None:
    cache = filled(tmp_path, 4, max_bytes=4 * BLOCK)
    cache.add(name(9), b"x" * 3 * BLOCK)
    first, second = cache.reader(), cache.reader()
    assert cache.open(name(9), first)
    assert cache.open(name(9), second)
    cache._path(name(9)).unlink()
    cache.sweep()
    assert left(cache, 4) == [], "with the 3 blocks that are still read, the 4 are too many"
    first.close()
    assert second._read(0, 5) == b"xxxxx"
    second.close()
    assert (first._read(0, 5), second._read(0, 5), cache._open._files) == (b"", b"", {})


def test_files_that_are_read_take_only_so_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "LEAST", 100)
    cache = DiskCache(tmp_path, 0)
    readers = [cache.reader() for _ in range(4)]
    cache.open_uncached(name(1), b"a" * 60, readers[0])
    cache.open_uncached(name(1), b"a" * 60, readers[1])
    with pytest.raises(StorageError):
        cache.open_uncached(name(2), b"b" * 41, readers[2])
    for reader in readers[:2]:
        reader.close()
    cache.open_uncached(name(2), b"b" * 200, readers[2])  # one may be as large as it is
    readers[3].close()
    assert cache.open(name(2), readers[3]), "whoever left while a thread opened it holds nothing"
    readers[2].close()
    assert cache._open._files == {}
    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys
from hashlib import sha256
from pathlib import Path
from api.files.disk_cache import DiskCache
cache = DiskCache(Path(sys.argv[1]), 50 * 4096)
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 600):
    key = sha256(str(number).encode()).hexdigest()
    cache.add(key, key.encode() * 20)
    found = cache.get(key)
    assert found is None or found == key.encode() * 20
    if cache.needs_sweep:
        cache.sweep()
"""


def test_processes_together_keep_it_bounded_and_every_file_whole(tmp_path: Path) -> None:
    def write(first: int) -> "subprocess.CompletedProcess[bytes]":
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(first)]
        return subprocess.run(command, cwd=ROOT, check=False)

    with ThreadPoolExecutor(3) as pool:
        assert [done.returncode for done in pool.map(write, (0, 300, 2_000))] == [0, 0, 0]
    cache = DiskCache(tmp_path, 50 * BLOCK)
    files = [path for path in tmp_path.rglob("*/*") if path.is_file()]
    assert 0 < len(files) <= 50 + 3 * 3
    assert {len(path.read_bytes()) for path in files} == {64 * 20}
    cache.sweep()
    assert len([path for path in tmp_path.rglob("*/*") if path.is_file()]) <= 50


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1])
def test_a_file_takes_whole_blocks(tmp_path: Path, size: int) -> None:
    blocks = -(-size // BLOCK)
    cache = DiskCache(tmp_path, 100 * BLOCK)
    cache.add(name(1), b"x" * size)
    assert cache._added == blocks * BLOCK
