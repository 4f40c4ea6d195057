"""What somebody else notices while something is done."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final

from benchmarks.load import Server, get, percentile
from benchmarks.runner import Measure, Row, Side

CALM: Final = 1 / 5  # of the speed that they have undisturbed


@dataclass(slots=True)
class Others:
    """Clients of the server that send small requests. What is measured is the time that 99 of 100 do not exceed, and
    how long the server did not even say that it lives."""

    server: Server
    requests: Iterator[bytes]
    seconds: float  # for which they are measured undisturbed
    clients: int = 1
    _disturbed: Measure | None = None

    def during(self, side: Side) -> Side:
        """The same side, while they go on."""

        async def measure() -> Measure:
            measured, self._disturbed = await self._observe(side)
            return measured

        return measure

    def row(self, name: str) -> Row:
        """How they were disturbed the last time, compared with themselves undisturbed."""
        return Row(name, "ms", self._during, self._undisturbed, "undisturbed", CALM)

    async def _during(self) -> Measure:
        assert self._disturbed is not None
        return self._disturbed

    async def _undisturbed(self) -> Measure:
        async def nothing() -> Measure:
            await asyncio.sleep(self.seconds)
            return Measure(1, self.seconds)

        return (await self._observe(nothing))[1]

    async def _observe(self, side: Side) -> tuple[Measure, Measure]:
        lives = repeat(get("/healthz"))
        async with AsyncExitStack() as stack:
            beats = await stack.enter_async_context(self.server.probe(lives))
            probes = [await stack.enter_async_context(self.server.probe(self.requests)) for _ in range(self.clients)]
            measured = await side()
        seconds = list(chain.from_iterable(probes))
        more = {"p50 ms": percentile(seconds, 0.5) * 1e3, "loop blocked ms": max(beats) * 1e3}
        return measured, Measure(1, percentile(seconds, 0.99), more)
