"""`serve --processes N`: a parent that binds the address, N processes that accept connections on its socket, and one
that runs jobs.

The parent serves nobody: it keeps the embedded Postgres, and starts a process that dies again. The processes share the
socket and the positions of clients; all else that they have in common is in Postgres. They also end when their parent
was killed.
"""

import asyncio
import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, MutableSequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final, cast

from api import logs, process
from api.command_errors import CommandError, describe
from api.process import Announce, Main
from api.settings import Settings
from db.concurrency_limits import race, wait_for_event
from db.postgres.standbys import CLIENTS, Positions

log = logging.getLogger(__name__)

CONTEXT: Final = multiprocessing.get_context("spawn")
AT_ONCE: Final = 5.0  # seconds in which a process that is to end at once does, unless it hangs
PAUSES: Final = (0.0, 1.0, 2.0, 4.0, 8.0)  # seconds before the next start, by how many did not get ready


class DidNotStart(CommandError):
    """A process ended before it was ready; it has said why."""


@dataclass(slots=True)
class Child:
    """A process of the server, and those that replace it."""

    target: Callable[..., None]
    arguments: tuple[object, ...]
    on_death: Callable[[], object] = lambda: None
    current: SpawnProcess | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)  # it is, or one before it was

    async def keep(self, ended: asyncio.Event) -> None:
        """Start it, and start it again whenever it dies. Raises DidNotStart if the first one does not get ready."""
        failures = 0
        while True:
            failures = 0 if await self._run() else failures + 1
            self.on_death()
            if ended.is_set():
                return
            if not self.ready.is_set():
                raise DidNotStart("A process of the server did not start.")
            assert self.current is not None
            log.warning("process %s ended (%s) and is started again", self.current.pid, self.current.exitcode)
            await wait_for_event(ended, PAUSES[min(failures, len(PAUSES) - 1)])
            if ended.is_set():
                return

    async def _run(self) -> bool:
        """Until it ends; whether it was ready. It holds the other end of a pipe for as long as it lives."""
        receiver, sender = CONTEXT.Pipe(duplex=False)
        with receiver:
            with sender:
                self.current = CONTEXT.Process(target=self.target, args=(*self.arguments, sender))
                try:
                    self.current.start()
                except OSError as error:  # there is no room for another
                    log.warning("a process could not be started: %s", type(error).__name__)
                    return False
            was_ready = await _receives(receiver)
            if was_ready:
                self.ready.set()
                await _receives(receiver)
        await asyncio.to_thread(self.current.join)
        return was_ready

    def terminate(self, how: Callable[[SpawnProcess], None] = SpawnProcess.terminate) -> None:
        if self.current is not None and self.current.pid is not None:
            how(self.current)


async def _receives(receiver: Connection) -> bool:
    """Whether something is sent, before the other end is closed."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(receiver.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(receiver.fileno())
    try:
        receiver.recv_bytes()
    except (EOFError, OSError):
        return False
    return True


async def serve(settings: Settings, stopping: asyncio.Event, announce: Announce) -> None:
    """Serve until stopping. `announce` is called with the URL once all processes listen."""
    listener = process.listen(settings)
    url, ended, failed = process.url_of(listener), asyncio.Event(), asyncio.Event()
    children = _children(settings, listener)
    keepers: list[asyncio.Task[None]] = []

    def start(child: Child) -> None:
        keepers.append(asyncio.create_task(child.keep(ended)))
        keepers[-1].add_done_callback(lambda _: failed.set())

    async def start_and_announce() -> None:
        first, *others = children
        start(first)
        await first.ready.wait()  # what keeps each from starting is said once
        for child in others:
            start(child)
        for child in others:
            await child.ready.wait()
        await announce(url)
        await asyncio.Event().wait()

    try:
        announcing, *_ = await race(start_and_announce(), stopping.wait(), failed.wait())
    finally:
        listener.close()  # the processes close theirs: nobody may wait for an answer that does not come
        ended.set()
        if keepers:
            await _end(children, keepers)
    for task in (announcing, *keepers):
        if not task.cancelled():
            task.result()


async def _end(children: list[Child], keepers: list[asyncio.Task[None]]) -> None:
    """Have them finish what they have begun; when this is canceled, at once. Those that hang are killed then."""
    for child in children:
        child.terminate()
    try:
        await asyncio.wait(keepers)
    except asyncio.CancelledError:
        for child in children:
            child.terminate()
        await asyncio.wait(keepers, timeout=AT_ONCE)
        for child in children:
            child.terminate(SpawnProcess.kill)
        await asyncio.wait(keepers)
        raise


def _children(settings: Settings, listener: socket.socket) -> list[Child]:
    slots = cast(MutableSequence[int], CONTEXT.RawArray(ctypes.c_uint64, settings.processes * CLIENTS))

    def server(row: int) -> Child:
        # what a process that was killed had committed is not known: see `Positions`
        own = _at_its_metrics_port(settings, row).with_changes(worker=False)
        return Child(_serve, (own, listener, slots, row), lambda: Positions(slots, row=row))

    servers = [server(row) for row in range(settings.processes)]
    worker = Child(_work, (_at_its_metrics_port(settings, settings.processes),))
    return [*servers, worker] if settings.worker else servers


def _at_its_metrics_port(settings: Settings, number: int) -> Settings:
    """Those of the n-th process, whose replacements have the same port."""
    port = settings.metrics_port
    return settings.with_changes(metrics_port=port + number) if port else settings


def _serve(
    settings: Settings, listener: socket.socket, slots: MutableSequence[int], row: int, sender: Connection
) -> None:
    listener.set_inheritable(False)

    async def main(stopping: asyncio.Event) -> None:
        async def ready(_: str) -> None:
            _say_ready(sender)

        positions = Positions(slots, row=row)
        await process.serve(settings, stopping, ready, listener=listener, positions=positions)

    _run(settings, sender, main)


def _work(settings: Settings, sender: Connection) -> None:
    _run(settings, sender, lambda stopping: process.work(settings, stopping, lambda: _say_ready(sender)))


def _say_ready(sender: Connection) -> None:
    with suppress(BrokenPipeError):  # the parent was killed
        sender.send_bytes(b"ready")


def _run(settings: Settings, sender: Connection, main: Main) -> None:
    """What each process does: `main`, until SIGTERM or the parent's death. Ctrl-C reaches all processes of a terminal,
    and the parent sends SIGTERM then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(sender.fileno(), False)  # decoders may live longer
    logs.configure(settings.log_level)
    parent = multiprocessing.parent_process()
    assert parent is not None

    async def until_parent_dies(stopping: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(parent.sentinel)
            stopping.set()

        loop.add_reader(parent.sentinel, stop)
        await main(stopping)

    try:
        process.run(until_parent_dies, (signal.SIGTERM,))
    except asyncio.CancelledError:
        sys.exit(130)
    except Exception as error:
        message = describe(error)
        if message is None:
            raise
        sys.exit(f"labelgraph: {message}")
