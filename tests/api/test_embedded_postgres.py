"""The embedded Postgres: shared by processes, ended by the last of them, whole after any kill."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from api import embedded_postgres
from api.embedded_postgres import server, supervisor
from db.postgres import engine
from tests.waiting import wait_until

USER = """
import asyncio, sys
from pathlib import Path
from api import embedded_postgres

async def use():
    async with embedded_postgres.postgres(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(use())
"""


@contextmanager
def another_process(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that uses the server until its standard input closes, or until it is killed."""
    command = [sys.executable, "-c", USER, str(data_dir)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin, process.stdout:
        yield process, process.stdout.readline().strip()


async def test_keeps_its_data_from_one_start_to_the_next(tmp_path: Path) -> None:
    async with embedded_postgres.postgres(tmp_path) as url:
        await execute(url, "CREATE TABLE kept AS SELECT 7 AS n")
    assert not is_running(tmp_path)
    async with embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT n FROM kept") == 7


async def test_is_durable_by_default_and_can_only_be_entered_by_its_owner(tmp_path: Path) -> None:
    async with embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT current_setting('fsync') || current_setting('listen_addresses')") == "on"
        assert (tmp_path / "postgres").stat().st_mode & 0o077 == 0
        assert Path(pid_file(tmp_path).read_text().splitlines()[4]).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("memory", "expected"), [(1, "256MB"), (4, "512MB"), (24, "1024MB")])
def test_keeps_pages_in_an_eighth_of_the_memory_within_limits(memory: int, expected: str) -> None:
    assert server.shared_buffers(memory << 30) == expected


@pytest.mark.parametrize(
    ("own", "file", "limit"),
    [
        ("0::/", "memory.max", 3),  # a container
        ("0::/system.slice/labelgraph.service", "system.slice/labelgraph.service/memory.max", 3),
        ("0::/labels.slice/labelgraph.service", "labels.slice/memory.max", 3),
        ("9:cpu:/\n4:memory:/docker/1f\n0::/", "memory/memory.limit_in_bytes", 3),  # the first version
        ("4:memory:/labels", "memory/labels/memory.limit_in_bytes", 3),
        ("0::/", "memory.max", None),
        ("4:memory:/", "memory/memory.limit_in_bytes", 1 << 33),  # no limit there
        ("0::/mine", "other/memory.max", 3),
        (None, "memory.max", 3),  # no Linux
    ],
)
async def test_the_memory_is_what_a_container_or_a_service_may_use_or_that_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, file: str, limit: int | None
) -> None:
    monkeypatch.setattr(server, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(server, "OWN_GROUPS", tmp_path / "own")
    if own is not None:
        server.OWN_GROUPS.write_text(f"{own}\n")
    (server.GROUPS / file).parent.mkdir(parents=True)
    (server.GROUPS / file).write_text("max\n" if limit is None else f"{limit << 30}\n")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    is_limited = own is not None and limit == 3 and not file.startswith("other")
    assert server._memory() == (min(machine, 3 << 30) if is_limited else machine)


async def test_is_started_with_pages_for_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_memory", lambda: 3 << 30)
    async with embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT current_setting('shared_buffers')") == "384MB"


async def test_knows_letters_of_every_script_and_orders_by_code_point(tmp_path: Path) -> None:
    async with embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT lower('ÄÖ') || ('a' > 'B') || ('é' > 'z')") == "äötruetrue"


async def test_a_second_process_joins_and_the_server_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as (first, first_url):
        async with embedded_postgres.postgres(tmp_path) as url:
            assert url == first_url
            first.kill()
            first.wait()
            with another_process(tmp_path) as (_, third_url):  # by then its end is known
                assert third_url == url
            assert await fetch(url, "SELECT 1") == 1
    assert not is_running(tmp_path)


async def test_many_processes_that_start_at_once_share_one_server(tmp_path: Path) -> None:
    servers = await asyncio.gather(*(embedded_postgres.join(tmp_path) for _ in range(5)))
    assert len({server.url for server in servers}) == 1
    await asyncio.gather(*(server.leave() for server in servers))
    assert not is_running(tmp_path)


async def test_shuts_down_cleanly_after_its_only_user_is_killed(tmp_path: Path) -> None:
    with another_process(tmp_path) as (user, url):
        await execute(url, "CREATE TABLE kept AS SELECT 7 AS n")
        user.kill()
    await wait_until(lambda: not is_running(tmp_path))
    await wait_until(lambda: "database system is shut down" in log(tmp_path))  # said after the file is gone
    async with embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT n FROM kept") == 7
    assert "was interrupted" not in log(tmp_path)


async def test_starts_again_after_everything_was_killed_at_once(tmp_path: Path) -> None:
    with another_process(tmp_path) as (user, url):
        await execute(url, "CREATE TABLE kept AS SELECT 7 AS n")
        postmaster = int(pid_file(tmp_path).read_text().split()[0])
        for pid in (postmaster, parent(postmaster), user.pid):
            os.kill(pid, signal.SIGKILL)
    assert pid_file(tmp_path).exists()
    async with embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT n FROM kept") == 7


async def test_is_started_again_when_only_postgres_was_killed(tmp_path: Path) -> None:
    async with embedded_postgres.postgres(tmp_path) as url:
        os.kill(int(pid_file(tmp_path).read_text().split()[0]), signal.SIGKILL)
        await until_answers(url)


async def test_is_started_again_whenever_the_program_that_keeps_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WATCH_SECONDS", 0.05)
    async with embedded_postgres.postgres(tmp_path) as url:
        await execute(url, "CREATE TABLE kept AS SELECT 7 AS n")
        with another_process(tmp_path) as (_, other_url):  # both see it
            assert other_url == url
            await kill_supervisor(tmp_path, url)
            await kill_supervisor(tmp_path, url)
        await kill_supervisor(tmp_path, url)
        assert await fetch(url, "SELECT n FROM kept") == 7
    await wait_until(lambda: not is_running(tmp_path))


async def test_keeps_its_socket_elsewhere_when_it_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WATCH_SECONDS", 0.05)
    deep = tmp_path / ("long" * 30)
    async with embedded_postgres.postgres(deep) as url:
        await kill_supervisor(deep, url)
        sockets = Path(pid_file(deep).read_text().splitlines()[4])
    await wait_until(lambda: not sockets.exists())


async def kill_supervisor(data_dir: Path, url: str) -> None:
    """Until another server takes connections at the same URL."""
    killed = int(pid_file(data_dir).read_text().split()[0])
    os.kill(parent(killed), signal.SIGKILL)
    await wait_until(lambda: supervisor.server(data_dir / "postgres" / "cluster") not in (killed, None))
    await until_answers(url)


async def test_is_not_fooled_by_the_pid_file_of_a_killed_server_whose_number_is_in_use_again(tmp_path: Path) -> None:
    async with embedded_postgres.postgres(tmp_path):
        lines = pid_file(tmp_path).read_text().splitlines()
    pid_file(tmp_path).write_text("\n".join([str(os.getppid()), *lines[1:7], "ready", ""]))
    async with embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT 1") == 1


async def test_is_not_fooled_by_a_server_that_takes_connections_while_it_is_being_killed(tmp_path: Path) -> None:
    async with embedded_postgres.postgres(tmp_path):
        lines = pid_file(tmp_path).read_text().splitlines()
    pid_file(tmp_path).write_text("\n".join([str(dead_number()), *lines[1:7], "ready", ""]))
    Path(lines[4]).mkdir()
    dying = await asyncio.start_unix_server(lambda _, writer: writer.close(), Path(lines[4]) / embedded_postgres.SOCKET)
    async with dying, embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT 1") == 1


async def test_makes_the_cluster_anew_when_the_first_start_was_interrupted(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres" / "cluster.new" / "base"
    unfinished.mkdir(parents=True)
    async with embedded_postgres.postgres(tmp_path) as url:
        assert await fetch(url, "SELECT 1") == 1


async def test_a_path_too_long_for_a_socket_gets_one_elsewhere_that_leaves_no_trace(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    async with embedded_postgres.postgres(deep) as url:
        assert await fetch(url, "SELECT 1") == 1
        sockets = Path(pid_file(deep).read_text().splitlines()[4])
        assert deep not in sockets.parents
    await wait_until(lambda: not sockets.exists())


async def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a supervisor that does not pause between its attempts."""
    program, hasty = Path(supervisor.__file__).read_text(), tmp_path / "supervisor.py"
    hasty.write_text(program.replace("PAUSE, LONGEST_PAUSE = 0.5, 8.0", "PAUSE, LONGEST_PAUSE = 0.0, 0.0"))
    assert hasty.read_text() != program
    monkeypatch.setattr(supervisor, "__file__", str(hasty))
    with pytest.raises(embedded_postgres.EmbeddedError, match="no_such_setting"):
        await embedded_postgres.join(tmp_path, options={"no_such_setting": "1"})


def test_programs_of_a_version_nobody_has_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(embedded_postgres.EmbeddedError, match=r"version 9.*Install PostgreSQL"):
        embedded_postgres.find_programs(9)


@pytest.mark.portable
async def test_the_engine_reads_through_its_socket(database: engine.Database) -> None:
    async with database.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM dataset") == 0


def pid_file(data_dir: Path) -> Path:
    return data_dir / "postgres" / "cluster" / "postmaster.pid"


def is_running(data_dir: Path) -> bool:
    return pid_file(data_dir).exists()


def log(data_dir: Path) -> str:
    return (data_dir / "postgres" / "log").read_text()


def dead_number() -> int:
    """The number of a process that was and is no more."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def parent(pid: int) -> int:
    return int(Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()[1])


async def until_answers(url: str) -> None:
    async def answers() -> bool:
        with suppress(OSError, asyncpg.PostgresError):
            return await fetch(url, "SELECT 1") == 1
        return False

    await wait_until(answers)


async def fetch(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def execute(url: str, statement: str) -> None:
    await fetch(url, statement)
