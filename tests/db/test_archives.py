"""Archives: read back by Python's own readers, and by those of the system."""

import hashlib
import io
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from db.errors import Invalid
from db.formats import archives
from db.formats.archives import Archive, Entry, Spooled, Tar, Zip

ENTRIES = [
    ("images/a.jpg", b"\xff\xd8" + bytes(range(256)), True),
    ("labels/猫 é.txt", b"1 2 3\n" * 500, False),
    ("empty", b"", False),
    ("long/" + "x" * 150 + "/" + "y" * 150, b"z", False),
]


def spooled(data: bytes) -> Spooled:
    return Spooled(io.BytesIO(data), len(data))


def written(archive: Archive, entries: Iterable[Entry]) -> bytes:
    pieces = [piece for entry in entries for piece in archive.add(entry)]
    return b"".join([*pieces, *archive.finish()])


def entries() -> list[Entry]:
    document = Entry("document.json", spooled(b"[1, 2, 3]\n" * 100_000))
    return [*(Entry(path, data, is_compressed) for path, data, is_compressed in ENTRIES), document]


def contents() -> dict[str, bytes]:
    return {path: data for path, data, _ in ENTRIES} | {"document.json": b"[1, 2, 3]\n" * 100_000}


def test_a_zip_is_read_back() -> None:
    data = written(Zip(io.BytesIO()), entries())
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        assert read.testzip() is None
        assert {info.filename: read.read(info) for info in read.infolist()} == contents()
        assert {info.date_time for info in read.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in read.infolist()} == {0o100644}
        methods = {info.filename: info.compress_type for info in read.infolist()}
    assert (methods["images/a.jpg"], methods["document.json"]) == (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def test_a_tar_is_read_back() -> None:
    data = written(Tar(), entries())
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        found = {info.name: file.read() for info in read if (file := read.extractfile(info)) is not None}
        assert {(info.mtime, info.mode, info.uid, info.uname) for info in read} == {(315_532_800, 0o644, 0, "")}
    assert found == contents()


@pytest.mark.parametrize("make", [Tar, lambda: Zip(io.BytesIO())])
def test_equal_entries_make_equal_bytes_and_the_size_is_known(make: type[Tar]) -> None:
    one, other = make(), make()
    data = written(one, entries())
    assert hashlib.sha256(data).digest() == hashlib.sha256(written(other, entries())).digest()
    assert one.size == len(data)


def test_more_entries_than_zip_counts() -> None:
    data = written(Zip(io.BytesIO()), (Entry(f"{number}.txt", b"%d" % number) for number in range(70_000)))
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        assert len(read.infolist()) == 70_000
        assert read.read("69999.txt") == b"69999"


def test_a_zip_beyond_four_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAY_GROW", 0)
    data = written(Zip(io.BytesIO()), entries())
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        assert read.testzip() is None
    directory = io.BytesIO()
    archive = Zip(directory)
    archive.size = 2**32 + 7
    archive._note(b"behind", 0, 0x800, (1, 2**32, 2**32 + 9))
    fields = directory.getvalue()
    assert fields[20:28] == b"\xff" * 8, "both sizes are in the extra field"
    assert fields[42:46] == b"\xff" * 4, "and so is the position"
    assert fields.endswith(b"\1\0\x18\0" + b"".join(n.to_bytes(8, "little") for n in (2**32 + 9, 2**32, 2**32 + 7)))


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip")
def test_unzip_finds_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(written(Zip(io.BytesIO()), entries()))
    assert "No errors" in subprocess.run(["unzip", "-t", "a.zip"], cwd=tmp_path, capture_output=True, text=True).stdout


@pytest.mark.parametrize("path", ["/a", "../a", "a/../b", "a//b", ".", "", "a\\b", "a\0", "a/."])
def test_no_name_leads_out_of_the_archive(path: str) -> None:
    for archive in (Zip(io.BytesIO()), Tar()):
        with pytest.raises(Invalid):
            list(archive.add(Entry(path, b"")))
