"""The folder of thumbnails stays as small as its owner wants it."""

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from api.files.disk_cache import BLOCK, DiskCache
from tests.conftest import ROOT


def name(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def filled(folder: Path, count: int, *, most: int) -> DiskCache:
    """Files of a block each; the higher its number, the later it was seen."""
    keeping = DiskCache(folder, most)
    for number in range(count):
        keeping.keep(name(number), b"x" * 100)
        os.utime(folder / name(number)[:2] / name(number)[2:], (1_000 + number, 1_000 + number))
    return keeping


def left(keeping: DiskCache, count: int) -> list[int]:
    places = {number: keeping.folder / name(number)[:2] / name(number)[2:] for number in range(count)}
    return [number for number, place in places.items() if place.exists()]


def test_what_is_kept_is_found(tmp_path: Path) -> None:
    keeping = DiskCache(tmp_path / "not there yet", 10 * BLOCK)
    assert keeping.find(name(1)) is None
    keeping.keep(name(1), b"one")
    assert (keeping.find(name(1)), keeping.find(name(2))) == (b"one", None)


def test_a_sweep_deletes_what_was_not_seen_for_longest_and_leaves_a_tenth_free(tmp_path: Path) -> None:
    keeping = filled(tmp_path, 30, most=20 * BLOCK)
    assert keeping.find(name(0)) is not None
    keeping.sweep()
    assert left(keeping, 30) == [0, *range(13, 30)]


def test_a_sweep_leaves_alone_what_has_room(tmp_path: Path) -> None:
    keeping = filled(tmp_path, 20, most=20 * BLOCK)
    keeping.sweep()
    assert len(left(keeping, 20)) == 20


def test_what_a_killed_process_left_half_written_goes_as_well(tmp_path: Path) -> None:
    keeping = filled(tmp_path, 5, most=4 * BLOCK)
    half = tmp_path / name(0)[:2] / "tmpabc"
    half.write_bytes(b"x")
    os.utime(half, (1, 1))
    keeping.sweep()
    assert not half.exists()
    assert left(keeping, 5) == [2, 3, 4]


def test_a_sweep_is_due_after_a_share_of_the_room(tmp_path: Path) -> None:
    keeping = DiskCache(tmp_path, 40 * BLOCK)
    for number in range(2):
        keeping.keep(name(number), b"x")
    assert not keeping.is_due
    keeping.keep(name(2), b"x")
    assert keeping.is_due
    keeping.sweep()
    assert not keeping.is_due


def test_nothing_is_kept_where_there_is_no_room(tmp_path: Path) -> None:
    keeping = DiskCache(tmp_path, 0)
    keeping.keep(name(1), b"one")
    assert keeping.find(name(1)) is None
    assert list(tmp_path.iterdir()) == []


def test_while_another_process_sweeps_nobody_waits(tmp_path: Path) -> None:
    keeping = filled(tmp_path, 5, most=1 * BLOCK)
    with (tmp_path / "sweeping").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keeping.sweep()
        assert len(left(keeping, 5)) == 5
    keeping.sweep()
    assert left(keeping, 5) == []


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    keeping = DiskCache(tmp_path / "file", 10 * BLOCK)
    keeping.keep(name(1), b"one")
    keeping.sweep()
    assert keeping.find(name(1)) is None


WRITER = """
import sys
from hashlib import sha256
from pathlib import Path
from api.files.disk_cache import DiskCache
keeping = DiskCache(Path(sys.argv[1]), 50 * 4096)
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 600):
    key = sha256(str(number).encode()).hexdigest()
    keeping.keep(key, key.encode() * 20)
    found = keeping.find(key)
    assert found is None or found == key.encode() * 20
    if keeping.is_due:
        keeping.sweep()
"""


def test_processes_together_keep_it_bounded_and_every_file_whole(tmp_path: Path) -> None:
    def write(first: int) -> "subprocess.CompletedProcess[bytes]":
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(first)]
        return subprocess.run(command, cwd=ROOT, check=False)

    with ThreadPoolExecutor(3) as pool:
        assert [done.returncode for done in pool.map(write, (0, 300, 2_000))] == [0, 0, 0]
    keeping = DiskCache(tmp_path, 50 * BLOCK)
    files = [path for path in tmp_path.rglob("*/*") if path.is_file()]
    assert 0 < len(files) <= 50 + 3 * 3
    assert {len(path.read_bytes()) for path in files} == {64 * 20}
    keeping.sweep()
    assert len([path for path in tmp_path.rglob("*/*") if path.is_file()]) <= 50


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1])
def test_a_file_takes_whole_blocks(tmp_path: Path, size: int) -> None:
    blocks = -(-size // BLOCK)
    keeping = DiskCache(tmp_path, 100 * BLOCK)
    keeping.keep(name(1), b"x" * size)
    assert keeping._fresh == blocks * BLOCK
