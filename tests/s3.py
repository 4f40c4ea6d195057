"""An S3 for the tests: moto's server, a process of its own, which speaks the real protocol over a real socket."""

import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.request import urlopen

from db.storage import S3Config
from db.storage.s3 import S3, connect
from tests.waiting import TIMEOUT


@contextmanager
def moto() -> Iterator[str]:
    """The endpoint of a server without buckets."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(TIMEOUT)


def access(endpoint: str, **more: float) -> S3Config:
    """Few attempts, so that tests of failures are short."""
    timeouts = {"connect": TIMEOUT, "read": TIMEOUT, "attempts": 2, "deadline": TIMEOUT}
    return S3Config(endpoint=endpoint, access_key="test", secret_key="test", addressing="path", **timeouts | more)  # type: ignore[arg-type]


@asynccontextmanager
async def connected(endpoint: str, bucket: str | None = None, **more: Any) -> AsyncIterator[S3]:
    async with connect(access(endpoint, **more)) as s3:
        if bucket is not None:
            await s3.client.create_bucket(Bucket=bucket)
        yield s3


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait(port: int) -> None:
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/", timeout=TIMEOUT):  # the first answer takes it seconds
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
