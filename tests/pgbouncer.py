"""PgBouncer in transaction mode with its defaults, before a test's server, if it is installed."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

from db.postgres.engine import driver_url
from tests.waiting import TIMEOUT

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
PORT = 6432  # of a socket in a folder of its own
SERVER_CONNECTIONS = 2  # fewer than the clients, which must share them


@asynccontextmanager
async def pgbouncer(url: str) -> AsyncIterator[str]:
    """The URL of the same database through a PgBouncer."""
    assert PROGRAM is not None
    server = make_url(driver_url(url))
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    (folder / "users").write_text(f'"{server.username}" "{server.password or ""}"\n')
    (folder / "ini").write_text(
        f"""[databases]
* = host={server.query.get("host", server.host)} port={server.port or 5432}
[pgbouncer]
pool_mode = transaction
default_pool_size = {SERVER_CONNECTIONS}
auth_type = trust
auth_file = {folder}/users
listen_port = {PORT}
unix_socket_dir = {folder}
"""
    )
    process = subprocess.Popen([*_as_an_ordinary_user(), PROGRAM, str(folder / "ini")], stderr=subprocess.PIPE)
    through = server.set(host=None, port=None, query={"host": str(folder), "port": str(PORT)})
    try:
        await _ready(process, through.render_as_string(hide_password=False))
        yield through.render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT)
        shutil.rmtree(folder)


def _as_an_ordinary_user() -> list[str]:
    """PgBouncer refuses to run as root; in a user namespace root has another number, and the files stay its own."""
    return ["unshare", "--user", "--map-user=65534"] if os.geteuid() == 0 else []


async def _ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    async with asyncio.timeout(TIMEOUT):
        while True:
            assert process.poll() is None, process.communicate()[1].decode()
            try:
                connection = await asyncpg.connect(url, statement_cache_size=0)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return
