"""A server on a thread of its own, with a database of its own, for all tests of a file."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from api.server_configuration import document_limits
from api.settings import Settings
from tests.api.graphql.toy_schema import ToySchema
from tests.client import serving
from tests.conftest import Databases, Servers
from tests.waiting import TIMEOUT


@dataclass(slots=True)
class RunningServer:
    settings: Settings
    url: str = ""
    _open: threading.Event = field(default_factory=threading.Event)
    _closing: threading.Event = field(default_factory=threading.Event)

    @property
    def database_url(self) -> str:
        return self.settings.database_url or ""

    @contextmanager
    def opened(self) -> Iterator["RunningServer"]:
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        thread.start()
        try:
            assert self._open.wait(TIMEOUT), "the server did not start"
            yield self
        finally:
            self._closing.set()
            thread.join(TIMEOUT)

    async def _serve(self) -> None:
        async with serving(self.settings, ToySchema(document_limits(self.settings.limits))) as self.url:
            self._open.set()
            await asyncio.to_thread(self._closing.wait)


@contextmanager
def opened(servers: Servers, databases: Databases, settings: Callable[[str], Settings]) -> Iterator[RunningServer]:
    """`settings` is given the URL of a fresh, migrated database."""
    with (
        databases.fresh(servers.url("default"), servers.template("default")) as url,
        RunningServer(settings(url)).opened() as server,
    ):
        yield server
