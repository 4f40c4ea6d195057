"""Finding out what is at a location, and opening it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import BinaryIO, Final

from db.errors import Invalid, StorageError
from db.formats.datasets.reading import EMPTY
from db.formats.paths import suffix
from db.formats.unpacking import ArchiveRefused
from db.identity.tokens import Identity
from db.ingest.imports.files.bridge import Bridge, ObjectFile, buffered
from db.ingest.imports.files.plain import StoreFiles
from db.ingest.imports.files.source import IndexedFiles
from db.ingest.imports.files.tarred import TarFiles
from db.ingest.imports.files.uploaded import Uploaded, UploadedFile
from db.ingest.imports.files.zipped import ZipFiles
from db.ingest.imports.locations import ReadableLocations, missing, shown
from db.postgres.engine import Database
from db.storage import RootMissing, Store, StoredObject, Stores
from db.storage.locations import is_bucket

HEAD: Final = 512  # bytes by which an archive is known
OF_FOLDERS: Final = (".yaml", ".yml")  # files that say what is in their folder
OpenedFiles = tuple[IndexedFiles, Bridge]
ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
GZIP: Final = b"\x1f\x8b"
OTHERS: Final = (  # by the suffix, and how one begins: what is not read
    ((".7z",), b"7z\xbc\xaf", "an archive of 7-Zip"),
    ((".rar",), b"Rar!", "an archive of RAR"),
    ((".xz", ".txz"), b"\xfd7zXZ", "compressed by xz"),
    ((".bz2", ".tbz2"), b"BZh", "compressed by bzip2"),
    ((".zst",), b"\x28\xb5\x2f\xfd", "compressed by Zstandard"),
)
SHEETS: Final = (".xlsx", ".xls", ".ods", ".numbers")
NOTHING: Final = "There is no file or folder `{}`, or there is nothing in it."


@asynccontextmanager
async def open_files(
    locations: ReadableLocations, location: str, uploaded: Uploaded | None = None, *, with_images: bool = False
) -> AsyncGenerator[OpenedFiles, None]:
    """The files at a location, or what was uploaded; `with_images`: these are read, too. Raises DomainError:
    INVALID_PATH, an archive that is not read, a store that fails."""
    bridge = Bridge(asyncio.get_running_loop())
    above, _, label = location.rpartition("/")
    names = (f"{above}/", label[:200])
    files: IndexedFiles | None = None
    try:
        if uploaded is not None:
            file = uploaded.open(bridge)
            head = await asyncio.to_thread(file.read, HEAD)
            file.seek(0)
            files = _archive(names, file, head, with_images=with_images)
            if files is None:
                files = UploadedFile(*names, uploaded=uploaded, bridge=bridge)
            else:
                await asyncio.to_thread(_read, files, head)
            yield files, bridge
            return
        store, found = await _found(locations, location)
        if found is None or suffix(found.path) in OF_FOLDERS:
            names = names if found is not None else (f"{location}/", label[:200])
            files = folder = StoreFiles(*names, bridge=bridge, store=store)
            await _add_all(folder, location)
        else:
            head = await store.read(found.path, length=HEAD)
            file = buffered(ObjectFile(bridge, store, found.path, found.size))
            files = _archive(names, file, head, with_images=with_images)
            if files is None:
                files = single = StoreFiles(*names, bridge=bridge, store=store)
                single.add(found.path, found.size)
            else:
                await asyncio.to_thread(_read, files, head)
        bridge.position = 0
        yield files, bridge
    finally:
        bridge.close()
        if files is not None:
            files.close()


async def _add_all(folder: StoreFiles, location: str) -> None:
    try:
        await folder.add_all()
    except RootMissing as away:
        raise nothing(location) from away
    if not folder.index.count:
        raise nothing(location)


def nothing(location: str) -> Invalid:
    return Invalid(NOTHING.format(shown(location)), code="INVALID_PATH")


def _archive(names: tuple[str, str], file: BinaryIO, head: bytes, *, with_images: bool) -> IndexedFiles | None:
    """`names`: the folder that the archive is in, and its own."""
    _expect_readable(names[1], head)
    if head.startswith(ZIP):
        return ZipFiles(*names, file=file, with_images=with_images)
    if head.startswith(GZIP) or head[257:262] == b"ustar":
        return TarFiles(*names, file=file, with_images=with_images)
    return None


def _expect_readable(name: str, head: bytes) -> None:
    """The file is neither empty nor something else than its name says. Raises Invalid."""
    end = suffix(name)
    if not head and end != ".txt":  # an empty one says that an image has no label
        raise Invalid(EMPTY.format(f"`{name}`"))
    if end in SHEETS:
        raise Invalid(f"`{name}` is a spreadsheet, which is not read; save it as CSV.")
    for suffixes, start, what in OTHERS:
        if head.startswith(start):
            raise ArchiveRefused(f"`{name}` is {what}, which is not read; pack the files as zip, tar or tar.gz.")
        if end in suffixes:
            raise ArchiveRefused(f"`{name}` is not {what}, as its name says, and would not be read; use zip or tar.")
    if end == ".zip" and not head.startswith(ZIP):
        raise ArchiveRefused(f"`{name}` is no zip archive, as its name says.")
    if end in (".gz", ".tgz") and not head.startswith(GZIP):
        raise ArchiveRefused(f"`{name}` is not compressed by gzip, as its name says.")


def _read(files: IndexedFiles, head: bytes) -> None:
    match files:
        case ZipFiles():
            files.read_directory()
        case TarFiles() if head.startswith(GZIP):
            files.unpack()
        case TarFiles():
            files.read_headers()


async def _found(locations: ReadableLocations, location: str) -> tuple[Store, StoredObject | None]:
    """The store, and the file in it; without one, a folder."""
    store, name = await locations.open(location)
    try:
        found = await store.stat(name)
    except RootMissing:
        found = None
    if found is not None:
        return store, found
    store, _ = await locations.open(f"{location}/-")
    return store, None


async def expect_files(database: Database, stores: Stores, location: str, *, by: Identity) -> None:
    """There is something at this location, and this token may read it. Raises INVALID_PATH."""
    dataset_ids = None if by.dataset_ids is None else sorted(by.dataset_ids)
    try:
        store, found = await _found(await ReadableLocations.of(database, stores, dataset_ids), location)
        if found is None:
            await _expect_any(store, location)
    except StorageError as failed:
        if is_bucket(location) and not isinstance(failed, RootMissing):
            raise
        why = missing(failed, location)
        message = NOTHING.format(shown(location)) if why != failed.message else f"`{shown(location)}`: {why}"
        raise Invalid(message, code="INVALID_PATH") from failed


async def _expect_any(store: Store, location: str) -> None:
    async for page in store.pages():
        if page.objects:
            return
    raise nothing(location)
