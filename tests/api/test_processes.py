"""`serve --processes`: real processes on one socket, which are stopped to see who answers, and killed."""

import asyncio
import json
import os
import random
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from api.embedded_postgres import supervisor
from db.postgres.engine import Database
from tests.api.test_cli import at_once
from tests.api.test_clients_that_leave import locked, waits
from tests.client import Client, token
from tests.conftest import ROOT
from tests.db.dataset_rows import make
from tests.waiting import TIMEOUT, TIMEOUT_VARIABLES, wait_until

LISTENS = re.compile(r"(http://\S+)/graphql")
WORKERS = """SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE datname = current_database() AND locktype = 'advisory' AND classid = 2 AND objsubid = 2"""
LABEL = """mutation ($d: ID!, $name: String!) {
    createLabels(input: {datasetId: $d, labels: [{name: $name}]}) { labels { name } } }"""
LABELS = "query ($d: ID!) { dataset(by: {id: $d}) { revision labels { name } } }"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Running:
    """A server of several processes, of which this is the parent."""

    parent: asyncio.subprocess.Process
    url: str
    writers: list[asyncio.StreamWriter] = field(default_factory=list)  # of connections, closed in the end

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def servers(self) -> set[int]:
        """The processes that accept connections."""
        port = f":{self.address[1]:04X}"
        lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        sockets = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(port) and line[3] == "0A"}
        return {pid for pid in self._children() if sockets & _open_files(pid)}

    def workers(self) -> set[int]:
        return self._children() - self.servers()

    def _children(self) -> set[int]:
        return {
            pid
            for pid in map(int, filter(str.isdecimal, (entry.name for entry in Path("/proc").iterdir())))
            if self._is_child(pid)
        }

    def _is_child(self, pid: int) -> bool:
        try:
            status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (
                status[0] != "Z"
                and int(status[1]) == self.parent.pid
                and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
            )
        except OSError:
            return False

    async def connect(self) -> "Wire":
        wire = Wire(*await asyncio.open_connection(*self.address))
        self.writers.append(wire.writer)
        assert await wire.request(HEALTH) == '{"status":"ok"}'
        return wire

    async def is_listening(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(*self.address)
        except ConnectionRefusedError:
            return False
        self.writers.append(writer)
        return True


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection to one of the processes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self, data: bytes) -> str | None:
        """The body of the response; None where there is no response."""
        try:
            self.writer.write(data)
            return await self.response()
        except (ConnectionError, asyncio.IncompleteReadError):
            return None

    async def response(self) -> str:
        async with asyncio.timeout(TIMEOUT):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None, head
            return (await self.reader.readexactly(int(length[1]))).decode()


def _open_files(pid: int) -> set[str]:
    try:
        return {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


@asynccontextmanager
async def running(data_dir: Path, **variables: str) -> AsyncIterator[Running]:
    """Killed in the end, if it still runs."""
    command = ("serve", "--processes", "2", "--port", "0", "--data", str(data_dir))
    environment = os.environ | {"PYTHONUNBUFFERED": "1", **TIMEOUT_VARIABLES, **variables}
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api", *command), cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    try:
        async for line in parent.stdout:
            if listens := LISTENS.search(line.decode()):
                break
        else:
            raise AssertionError("the server did not start")
        server = Running(parent, listens[1])
        yield server
        for writer in server.writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.communicate()  # the other processes end later, and have its output open until then


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was killed
            os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
async def test_each_process_may_be_killed_and_all_finish_what_they_have_begun(
    database: Database, tmp_path: Path
) -> None:
    dataset = f"Dataset:{(await make(database, name='pets')).id}"
    ann = await token(database)
    ports = free_ports(3)
    async with running(tmp_path, DATABASE_URL=database.url, LABELGRAPH_METRICS_PORT=str(ports[0])) as server:
        assert await show_metrics(ports)
        one, other = server.servers()
        with stopped(other):
            lost = [await server.connect() for _ in range(3)]
        with stopped(one):
            kept = [await server.connect() for _ in range(3)]
        writing, written = [], set[str]()
        for number in range(4):
            names = [f"label{number}-{each}" for each in range(8)]
            writing.append(asyncio.create_task(write(Client(server.url, ann), dataset, names, written)))
        await wait_until(lambda: len(written) > 3)
        os.kill(one, signal.SIGKILL)
        assert [await wire.request(HEALTH) for wire in lost] == [None] * 3
        assert [await wire.request(HEALTH) for wire in kept] == ['{"status":"ok"}'] * 3
        await asyncio.gather(*writing)
        found = (await Client(server.url, ann).execute(LABELS, {"d": dataset}))["dataset"]
        assert {label["name"] for label in found["labels"]} == written
        assert found["revision"] == len(written) == 32, "none is lost, and none was done twice"
        await wait_until(lambda: len(server.servers() - {one}) == 2)
        await wait_until(lambda: show_metrics(ports))
        with stopped(other):
            new = await server.connect()

        assert (await Client(server.url, ann).request("PUT")).status_code == 501

        await wait_until(lambda: has_workers(database, 1))
        [worker] = server.workers()
        os.kill(worker, signal.SIGKILL)
        await wait_until(lambda: len(server.workers() - {worker}) == 1)
        await wait_until(lambda: has_workers(database, 1))

        async with locked(database.url, "label") as connection:  # which the worker does not read
            for wire, name in ((kept[0], "cat"), (new, "dog")):
                body = json.dumps({"query": LABEL, "variables": {"d": dataset, "name": name}})
                head = f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ann}\r\n"
                head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                wire.writer.write((head + body).encode())
            await wait_until(lambda: waits(connection, 2))
            server.parent.terminate()
            await wait_until(lambda: is_closed(server))
        answers = [json.loads(await wire.response()) for wire in (kept[0], new)]
        assert [answer["data"]["createLabels"]["labels"][0]["name"] for answer in answers] == ["cat", "dog"]
        assert await server.parent.wait() == 0
        assert server.servers() | server.workers() == set()
        assert await has_workers(database, 0)


def free_ports(count: int) -> range:
    """One after the other; not of those that the system gives to whoever asks for any."""
    while True:
        first = random.randrange(20_000, 32_000)
        ports = range(first, first + count)
        with suppress(OSError), ExitStack() as stack:
            for port in ports:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return ports


async def show_metrics(ports: Iterable[int]) -> bool:
    """Whether each is the port of a process that counts."""
    try:
        answers = [await Client(f"http://127.0.0.1:{port}").request("GET", "/metrics") for port in ports]
    except httpx2.TransportError:
        return False
    return all("labelgraph_event_loop_delay_seconds" in answer.text for answer in answers)


async def write(client: Client, dataset: str, names: Iterable[str], written: set[str]) -> None:
    """Create the labels one by one. Each request has a key, with which it is sent until there is an answer."""
    for name in names:
        while name not in written:
            with suppress(httpx2.TransportError):  # its process was killed
                variables = {"d": dataset, "name": name}
                found = await client.execute(LABEL, variables, headers={"idempotency-key": name})
                assert found["createLabels"]["labels"] == [{"name": name}]
                written.add(name)


async def has_workers(database: Database, count: int) -> bool:
    return bool(await database.value(WORKERS) == count)


async def is_closed(server: Running) -> bool:
    return not await server.is_listening()


@pytest.mark.slow
async def test_all_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """With a Postgres of their own, which ends too."""
    environment = {name: "" for name in os.environ if name == "DATABASE_URL"}
    async with running(tmp_path, **environment) as server:
        client = Client(server.url, (tmp_path / "token").read_text().strip())
        assert await client.execute("{ viewer { name } }") == {"viewer": {"name": "owner"}}
        children = server.servers() | server.workers()
        assert len(children) == 3
        server.parent.kill()
        await server.parent.wait()
        await wait_until(lambda: not any(map(is_running, children)))
        await wait_until(lambda: supervisor.server(tmp_path / "postgres" / "cluster") is None)


@pytest.mark.slow
async def test_a_process_that_hangs_does_not_keep_the_others_from_ending_at_once(
    database: Database, tmp_path: Path
) -> None:
    async with running(tmp_path, DATABASE_URL=database.url) as server:
        children = server.servers() | server.workers()
        hanging = min(server.servers())
        with stopped(hanging):
            server.parent.terminate()
            await wait_until(lambda: not any(map(is_running, children - {hanging})))
            server.parent.terminate()
            await server.parent.wait()
        assert not any(map(is_running, children))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_keeps_the_processes_from_starting_is_said_once(database_url: str, tmp_path: Path) -> None:
    arguments = ("serve", "--processes", "3", "--port", "0", "--trusted-documents", str(tmp_path / "none"))
    status, said = at_once(*arguments, DATABASE_URL=database_url)
    assert status == 1
    assert said.count(str(tmp_path / "none")) == 1
    assert said.endswith("labelgraph: A process of the server did not start.\n")
