"""What each command does: open what it needs, call `db`, print for people (and only the token, for scripts)."""

import argparse
import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

from api import demo as demonstration
from api import logs, process, processes
from api.command_errors import CommandError
from api.settings import MAX_PORT, Settings
from db.concurrency_limits import race
from db.formats import timestamps
from db.identity import tokens
from db.postgres import backups, engine
from db.postgres.models import Token

Command = Callable[[Settings, argparse.Namespace], None]

STREAM = "-"  # instead of a file: stdin, or stdout
MAX_NOT_SERVED = 5  # datasets whose images are not served, that a server names when it starts
SPAN = re.compile(r"(\d{1,4})([hdw])")
UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write a number from 0 to {MAX_PORT}")
    return int(text)


def moment(text: str) -> datetime:
    """A point in time in the future: a span from now, or RFC 3339."""
    now = datetime.now(UTC)
    span = SPAN.fullmatch(text)
    at = now + timedelta(**{UNITS[span[2]]: int(span[1])}) if span else timestamps.parse_timestamp(text)
    if at is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no point in time: write 12h, 30d, 8w or 2027-01-31T12:00:00Z")
    if at <= now:
        raise argparse.ArgumentTypeError(f"{text!r} is not in the future")
    return at


def in_loop(work: Callable[[Settings, argparse.Namespace, asyncio.Event], Coroutine[Any, Any, None]]) -> Command:
    """A command that runs in an event loop. The event is set by the first signal."""

    def command(settings: Settings, arguments: argparse.Namespace) -> None:
        process.run(lambda stopping: work(settings, arguments, stopping))

    return command


@in_loop
async def serve(settings: Settings, _: argparse.Namespace, stopping: asyncio.Event) -> None:
    logs.configure(settings.log_level)
    async with process.migrated(settings) as ready:
        token = await process.owner_token(ready) if settings.embedded else None
        not_served = await process.not_served(ready)

        async def announce(url: str) -> None:
            print(welcome(ready, url, token, not_served=not_served, private=sys.stdout.isatty()), flush=True)
            for root in await missing_roots(ready):
                print(f"{root} is no directory: nothing below it can become a dataset.", flush=True)

        if ready.processes == 1:
            await process.serve(ready, stopping, announce)
        else:
            await processes.serve(ready, stopping, announce)


async def missing_roots(settings: Settings) -> list[Path]:
    """Those allowed, but misspelt or not mounted. A disk that does not answer is not missing."""
    from db.storage import Disk, DiskTimeout  # only `serve` needs what this imports

    missing = []
    for root in settings.allowed_roots:
        with suppress(DiskTimeout):
            if not await Disk(settings.timeouts.disk).run(root.is_dir):
                missing.append(root)
    return missing


def welcome(settings: Settings, url: str, token: str | None, *, not_served: Sequence[str] = (), private: bool) -> str:
    """What a server says when it listens. `not_served`: a sentence for each dataset without images. `private`: only
    its owner reads it, so it may contain their token."""
    lines = [f"Labelgraph serves {url}/graphql"]
    if not settings.allowed_roots and not settings.s3.is_configured:
        lines.append("No directory may become a dataset yet: allow some with --allow-root DIR.")
    lines += not_served[:MAX_NOT_SERVED]
    if len(not_served) > MAX_NOT_SERVED:
        lines.append(f"The same of {len(not_served) - MAX_NOT_SERVED} other datasets.")
    if token is not None and private:
        lines.append(f"The page to label on, signed in: {url}/ui/#token={token}")
        lines.append(f"GraphiQL, signed in: {url}/graphql#token={token}")
    else:
        lines.append(f"The page to label on: {url}/ui/")
    if token is None:
        lines.append(f"A token to begin with: {program()} token create --name me --scope manage")
    elif not private:  # a journal, or the log of a container
        lines.append(f"The owner's token is in {process.token_file(settings)}")
    return "\n".join(lines)


def program() -> str:
    """The command line as it is called here: an image has no launcher."""
    has_launcher = (Path(__file__).parent.parent / "labelgraph").is_file()
    return "./labelgraph" if has_launcher else "python -m api"


@in_loop
async def demo(settings: Settings, arguments: argparse.Namespace, stopping: asyncio.Event) -> None:
    logs.configure("warning")
    images = demonstration.folder(settings)
    own = settings.with_changes(database_url=None, allowed_roots=(*settings.allowed_roots, images.parent.resolve()))
    async with process.migrated(own) as ready:
        token, file = await process.owner_token(ready), process.token_file(ready)
        suggest = arguments.vision
        await process.serve(ready, stopping, lambda url: demonstration.show(url, token, file, images, suggest=suggest))


@in_loop
async def worker(settings: Settings, _: argparse.Namespace, stopping: asyncio.Event) -> None:
    logs.configure(settings.log_level)
    async with process.migrated(settings) as ready:
        await process.work(ready, stopping)


@in_loop
async def migrate(settings: Settings, _: argparse.Namespace, _stopping: asyncio.Event) -> None:
    async with process.migrated(settings):
        print("The database is at this version's schema.")


def backup(settings: Settings, arguments: argparse.Namespace) -> None:
    async def write(ready: Settings) -> None:
        url = str(ready.listen_url or ready.database_url)
        if arguments.file == STREAM:
            await backups.write(url, sys.stdout.buffer)
            return
        with _replacing(Path(arguments.file)) as file:
            counts = await backups.write(url, file)
        print(f"Backed up {counts.datasets} datasets, {counts.rows} rows, to {arguments.file}. Images are not in it.")

    if arguments.file == STREAM and sys.stdout.isatty():
        raise CommandError("A backup is no text for a terminal: name a file, or redirect the output into one.")
    _with_database(settings, write)


def restore(settings: Settings, arguments: argparse.Namespace) -> None:
    async def read(ready: Settings) -> None:
        url = str(ready.listen_url or ready.database_url)
        counts = await backups.restore(url, file)
        print(f"Restored {counts.datasets} datasets, {counts.rows} rows.")

    with _spooled(settings) if arguments.file == STREAM else Path(arguments.file).open("rb") as file:
        _with_database(settings, read)


def check(settings: Settings, arguments: argparse.Namespace) -> None:
    from api.configuration import stores  # as in `worker`
    from db.datasets.check import check

    async def compare(ready: Settings) -> None:
        left, url = 0, str(ready.listen_url or ready.database_url)
        async with (
            stores(ready) as opened,
            engine.connect(url) as database,
            aclosing(check(database, opened.open, repair=arguments.repair)) as findings,
        ):
            async for finding in findings:
                print(f"{finding.dataset}: {finding.message}", flush=True)
                left += finding.is_open
        if left:
            raise CommandError(f"The check found {left} problem{'s' if left > 1 else ''}.")
        print("The check found no problems.")

    _with_database(settings, compare)


def _with_database(settings: Settings, work: Callable[[Settings], Coroutine[Any, Any, None]]) -> None:
    """Do the work with a migrated database, and cancel it at the first signal."""

    async def main(stopping: asyncio.Event) -> None:
        async with process.migrated(settings) as ready:
            working, _ = await race(work(ready), stopping.wait())
            working.result()

    process.run(main)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces that of the path once it is whole, and that only its owner can read."""
    if path.is_dir():
        raise CommandError(f"{path} is a directory: name a file.")
    if not path.absolute().parent.is_dir():
        raise CommandError(f"There is no directory {path.absolute().parent}: make it first.")
    descriptor, unfinished = tempfile.mkstemp(dir=path.absolute().parent, prefix=".labelgraph-", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink()
        raise


@contextmanager
def _spooled(settings: Settings) -> Iterator[BinaryIO]:
    """What comes from stdin, in a nameless file of the data directory: a backup is read from its end."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.data_dir) as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.seek(0)
        yield cast(BinaryIO, file)


def sdl(_settings: Settings, _: argparse.Namespace) -> None:
    from schema import sdl  # as in `process.serve`: other commands do not need it

    print(sdl(), end="")


@in_loop
async def create_token(settings: Settings, arguments: argparse.Namespace, _stopping: asyncio.Event) -> None:
    async with process.database(settings) as database, database.writing() as session:
        ids = await tokens.datasets_named(session, arguments.dataset) if arguments.dataset else None
        scope = tokens.parse_scope(arguments.scope)
        text = await tokens.create(
            session, name=arguments.name, scope=scope, expires_at=arguments.expires, dataset_ids=ids
        )
    print(text)


@in_loop
async def list_tokens(settings: Settings, _: argparse.Namespace, _stopping: asyncio.Event) -> None:
    async with process.database(settings) as database, database.writing() as session:
        for token in await tokens.list_all(session):
            print(_line(token))


@in_loop
async def revoke_token(settings: Settings, arguments: argparse.Namespace, _stopping: asyncio.Event) -> None:
    async with process.database(settings) as database, database.writing() as session:
        count = await tokens.revoke(session, arguments.token)
    print(f"Revoked {count} token{'s' if count > 1 else ''}.")


def _line(token: Token) -> str:
    now = datetime.now(UTC)
    match token.revoked_at, token.expires_at:
        case datetime() as at, _:
            state = f"revoked {at:%Y-%m-%d}"
        case _, datetime() as at:
            state = f"{'expired' if at <= now else 'expires'} {at:%Y-%m-%d %H:%MZ}"
        case _:
            state = "valid"
    datasets = "all datasets" if token.dataset_ids is None else f"{len(token.dataset_ids)} dataset(s)"
    return f"{token.prefix}…  {token.scope:<6}  {datasets:<14}  {state:<24}  {token.name}"
