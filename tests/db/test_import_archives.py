"""The files of an import: of a folder and of archives, also of those that were made to do harm."""

import asyncio
import gzip
import io
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.errors import Invalid
from db.formats import unpacking
from db.ingest.imports.files import open_files
from db.ingest.imports.locations import ReadableLocations
from db.storage import Stores
from db.storage.locations import AllowedLocations
from tests.conftest import ROOT
from tests.waiting import TIMEOUT

Content = dict[str, bytes]
FILES: Content = {
    "a/1.txt": b"one" * 1_000,
    "a/猫.txt": b"",
    "b.json": b'{"a": 1}' * 10_000,
    "image.png": b"no need to read this",
}


def zipped(files: Content, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: Content, mode: Any = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


async def read(path: Path) -> tuple[Content, list[str]]:
    """All files that are no images, and what is reported."""
    locations = ReadableLocations(Stores(AllowedLocations((path.parent,))))
    async with open_files(locations, str(path)) as (files, _):

        def read_all() -> Content:
            names = list(files.names())
            assert names == sorted(names)
            found = dict(files.contents([name for name in names if not name.endswith(".png")], 1 << 30))
            for name, data in found.items():
                with files.open(name) as file:
                    assert file.read(7) == data[:7]
                    file.seek(-min(3, len(data)), io.SEEK_END)
                    assert file.read() == data[-3:]
                    file.seek(0)
                    assert file.read() == data
            return found | {name: b"" for name in names if name not in found}

        return await asyncio.to_thread(read_all), [each.message for each in files.index.problems]


async def read_bytes(folder: Path, data: bytes) -> tuple[Content, list[str]]:
    (folder / "archive").write_bytes(data)
    return await read(folder / "archive")


ARCHIVES: dict[str, Callable[[Content], bytes]] = {
    "a zip": zipped,
    "a zip that compresses nothing": lambda files: zipped(files, zipfile.ZIP_STORED),
    "a zip behind something else": lambda files: prefixed(files),
    "a tar": tarred,
    "a tar as GNU writes it": lambda files: tarred(files, form=tarfile.GNU_FORMAT),
    "a tar.gz": lambda files: tarred(files, "w:gz"),
    "a tar.gz in pieces": lambda files: in_pieces(tarred(files)),
}


def prefixed(files: Content) -> bytes:
    """As programs that unpack themselves are made; the positions count what is before."""
    out = io.BytesIO(b"PK\x03\x04")
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def in_pieces(data: bytes) -> bytes:
    return b"".join(gzip.compress(data[start : start + 3_000]) for start in range(0, len(data), 3_000))


@pytest.mark.parametrize("kind", ARCHIVES)
async def test_an_archive_is_read_where_it_is(tmp_path: Path, kind: str) -> None:
    long = {"x/" * 60 + f"{number}.txt": b"%d" % number for number in range(20)}
    files = FILES | long | {f"{size}.txt": b"y" * size for size in (511, 512, 513, 8_192, 262_144, 262_145)}
    found, problems = await read_bytes(tmp_path, ARCHIVES[kind](files))
    assert found == files | {"image.png": b""}
    assert problems == []


async def test_a_folder_is_read_without_what_is_hidden(tmp_path: Path) -> None:
    for name, data in {**FILES, ".git/x.txt": b"x", "__MACOSX/a.txt": b"x", ".x.txt": b"x"}.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(data)
    assert await read(tmp_path / "data") == (FILES | {"image.png": b""}, [])


async def test_a_file_is_read_alone(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_bytes(b"path,label\n")
    (tmp_path / "two.csv").write_bytes(b"path,label\n")
    assert await read(tmp_path / "one.csv") == ({"one.csv": b"path,label\n"}, [])


async def test_a_description_stands_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_bytes(b"names: [cat]")
    (tmp_path / "1.txt").write_bytes(b"0 0.5 0.5 1 1")
    found, _ = await read(tmp_path / "data.yaml")
    assert list(found) == ["1.txt", "data.yaml"]


@pytest.mark.parametrize("name", ["nothing", "empty"])
async def test_nothing_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid) as refused:
        await read(tmp_path / name)
    assert refused.value.code == "INVALID_PATH"


# -- names ------------------------------------------------------------------------------------------------------------

NAMES = {
    "../a.txt": "out of its folder",
    "/etc/a.txt": "out of its folder",
    "C:\\a.txt": "out of its folder",
    "a/../../b.txt": "out of its folder",
    "a//b.txt": "empty part",
    "a\nb.txt": "control",
    "a" * 1_100 + ".txt": "1024 bytes",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [zipped, tarred])
async def test_names_that_lead_elsewhere_are_passed_over(
    tmp_path: Path, make: Callable[[Content], bytes], name: str
) -> None:
    if make is tarred and "\\" in name:
        name = name.replace("\\", "/")
    found, [problem] = await read_bytes(tmp_path, make({"1.txt": b"1", name: b"2"}))
    assert found == {"1.txt": b"1"}
    assert NAMES.get(name, "out of its folder") in problem


async def test_backslashes_and_names_of_dos_are_understood(tmp_path: Path) -> None:
    data = zipped({"a/b.txt": b"1", "gr\u00fcn.txt": b"2"}).replace(b"a/b.txt", b"a\\b.txt")
    without_flag = data.replace("gr\u00fcn".encode(), "grn".encode("cp437") + b"\x81x")
    found, problems = await read_bytes(tmp_path, data)
    assert (sorted(found), problems) == (["a/b.txt", "gr\u00fcn.txt"], [])
    assert without_flag != data


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", ["zip", "tar"])
async def test_of_two_files_of_a_name_the_first_is_read(tmp_path: Path, make: str) -> None:
    out = io.BytesIO()
    if make == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a.txt", "first")
            archive.writestr("a.txt", "second")
    else:
        out.write(tarred({"a.txt": b"first"})[:-1024].rstrip(b"\0").ljust(1024, b"\0"))
        out.write(tarred({"a.txt": b"second"}))
    found, [problem] = await read_bytes(tmp_path, out.getvalue())
    assert found == {"a.txt": b"first"}
    assert "twice" in problem


async def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(f"{number}.txt")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        member = tarfile.TarInfo("folder")
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    found, problems = await read_bytes(tmp_path, out.getvalue())
    assert (found, len(problems)) == ({}, 4)
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zip_archive:
        zip_archive.writestr(link, "/etc/passwd")
        zip_archive.writestr("1.txt", "1")
    found, [problem] = await read_bytes(tmp_path, out.getvalue())
    assert (found, "link" in problem) == ({"1.txt": b"1"}, True)


# -- what was made to do harm -----------------------------------------------------------------------------------------


def lying(data: bytes, size: int) -> bytes:
    """A zip of one file whose directory says another size."""
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 24] + struct.pack("<L", size) + data[at + 28 :]


def overlapping(count: int) -> bytes:
    """A zip whose many files all have the same bytes."""
    data = zipped({"0.txt": b"x" * 100_000}, zipfile.ZIP_STORED)
    at, end = data.rindex(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entries = b"".join(data[at:end].replace(b"0.txt", b"%05d" % number) for number in range(count))
    tail = bytearray(data[end:])
    struct.pack_into("<2H2L", tail, 8, count, count, len(entries), at)
    return data[:at] + entries + bytes(tail)


def flagged(data: bytes, offset: int, value: int) -> bytes:
    """A zip of one file, with another number in its directory."""
    at = data.rindex(b"PK\x01\x02") + offset
    return data[:at] + struct.pack("<H", value) + data[at + 2 :]


def long_header() -> bytes:
    """A tar whose first file has attributes of 64 MiB."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.txt")
        member.pax_headers = {"comment": "x" * (64 << 20)}
        archive.addfile(member)
    return out.getvalue()


ONE = zipped({"1.txt": b"1" * 1_000})
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb in a zip": (lambda: zipped({"1.txt": b"0" * (64 << 20)}), "times its size"),
    "a bomb in a tar": (lambda: tarred({"1.txt": b"0" * (64 << 20)}, "w:gz"), "times its size"),
    "an image that is a bomb": (lambda: tarred({"1.png": b"0" * (64 << 20), "1.txt": b""}, "w:gz"), "times its size"),
    "many small bombs": (lambda: zipped({f"{n}.txt": b"0" * (4 << 20) for n in range(20)}), "times its size"),
    "a file that is longer than it says": (lambda: lying(ONE, 10), "more than the archive says"),
    "a file that is shorter than it says": (lambda: lying(ONE, 2_000), "damaged"),
    "files that overlap": (lambda: overlapping(1_000), "overlap"),
    "an encrypted zip": (lambda: flagged(ONE, 8, 1), "encrypted"),
    "a zip that ends in the middle": (lambda: ONE[:-30], "not whole"),
    "a zip without its beginning": (lambda: b"PK\x03\x04" + ONE[60:], "not whole"),
    "a zip of rubbish": (lambda: b"PK\x03\x04" + b"rubbish" * 100, "no zip"),
    "a tar that ends in the middle": (lambda: tarred({"1.txt": b"1" * 5_000})[:2_000], "not whole"),
    "a tar.gz that ends in the middle": (lambda: tarred({"1.txt": bytes(range(256)) * 99}, "w:gz")[:-40], "not whole"),
    "a tar.gz of rubbish": (lambda: b"\x1f\x8b" + b"rubbish" * 100, "no tar"),
    "a tar.gz of something else": (lambda: gzip.compress(b"rubbish" * 1_000), "no tar"),
    "a header without end": (long_header, "too long"),
    "a damaged zip": (lambda: damaged(ONE), "damaged"),
}


def damaged(data: bytes) -> bytes:
    at = data.index(b"1.txt") + 8
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_was_made_to_do_harm_is_refused_in_a_sentence_and_takes_no_memory(tmp_path: Path, name: str) -> None:
    make, word = HOSTILE[name]
    (tmp_path / "archive").write_bytes(make())
    tracemalloc.start()
    try:
        with pytest.raises(Invalid) as refused:
            await read(tmp_path / "archive")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert word in refused.value.message
    assert peak < 24 << 20


async def test_what_is_compressed_in_another_way_is_passed_over(tmp_path: Path) -> None:
    found, [problem] = await read_bytes(tmp_path, flagged(ONE, 10, 14))
    assert (found, "deflate" in problem) == ({}, True)


async def test_an_archive_unpacks_to_so_much_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 10_000)
    for make in (zipped, lambda files: tarred(files, "w:gz")):
        await read_bytes(tmp_path, make({"1.txt": b"1" * 9_000}) if make is zipped else zipped({"1.txt": b"1" * 9_000}))
        with pytest.raises(Invalid) as refused:
            await read_bytes(tmp_path, make({"1.txt": b"1" * 6_000, "2.txt": b"1" * 6_000}))
        assert refused.value.code == "FILE_TOO_LARGE"


async def test_a_directory_of_many_files_takes_little_memory(tmp_path: Path) -> None:
    data = zipped({f"{'folder' * 5}/{number:06}.txt": b"" for number in range(20_000)})
    (tmp_path / "archive").write_bytes(data)
    tracemalloc.start()
    try:
        locations = ReadableLocations(Stores(AllowedLocations((tmp_path,))))
        async with open_files(locations, str(tmp_path / "archive")) as (files, _):
            assert await asyncio.to_thread(lambda: sum(1 for _ in files.names())) == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20  # as objects they would have more than 10 MiB


async def test_numbers_beyond_4_gib_are_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("1.txt", "w", force_zip64=True) as file:
        file.write(b"1" * 100)
    found, _ = await read_bytes(tmp_path, out.getvalue())
    assert found == {"1.txt": b"1" * 100}
    at = out.getvalue().rindex(b"PK\x05\x06")
    start = out.getvalue().rindex(b"PK\x01\x02")
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, at - start, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    found, _ = await read_bytes(tmp_path, out.getvalue()[:at] + end + locator + tail)
    assert found == {"1.txt": b"1" * 100}


CLOSED: str = """
import sqlite3, threading
from db.ingest.imports.files.source import Entry, Index

def use(index, reading):
    try:
        while True:
            reading.set()
            index.entry("7")
            list(index.names())
    except sqlite3.ProgrammingError:
        pass

for _ in range(300):
    index, reading = Index(), threading.Event()
    for number in range(20):
        index.add(str(number), Entry(1))
    user = threading.Thread(target=use, args=(index, reading))
    user.start()
    reading.wait()
    index.close()
    user.join()
"""


def test_an_index_is_closed_under_whoever_reads_it() -> None:
    """In a process of its own, which SQLite would end."""
    done = subprocess.run([sys.executable, "-c", CLOSED], cwd=ROOT, capture_output=True, timeout=TIMEOUT, text=True)
    assert (done.returncode, done.stderr) == (0, "")
