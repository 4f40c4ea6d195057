"""How long tests wait. Other processes can delay a test, so none depends on a clock: it waits for a condition,
counts, or compares with what it measures in the same test. `TIMEOUT` only ends a test that hangs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from api.settings import Timeouts
from db.postgres.engine import Limits

TIMEOUT: Final = 300.0  # seconds
# For a server under test. A test of one of them shortens that one alone, and makes what it ends endless.
SERVER_TIMEOUTS: Final = Timeouts(**dict.fromkeys(Timeouts.model_fields, TIMEOUT))
TIMEOUT_VARIABLES: Final = {str(field.validation_alias): str(TIMEOUT) for field in Timeouts.model_fields.values()}
LIMITS: Final = Limits(connect=TIMEOUT, read=TIMEOUT, write=TIMEOUT, lock=TIMEOUT)


async def wait_until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Wait until the condition is true."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.02)


def cost_ratio(work: Callable[[], Any], other: Callable[[], Any], *, rounds: int = 5) -> float:
    """How many times the processor time of `other` `work` takes. Both in turn, the cheapest round of each: what else
    the machine does then matters little."""
    costs = [(_cost(work), _cost(other)) for _ in range(rounds)]
    return min(cost for cost, _ in costs) / min(cost for _, cost in costs)


def _cost(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
