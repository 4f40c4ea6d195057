"""Compiled reads, kept for the next request that asks for the same."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from db.queries import Plan
from schema.execution.worker_thread import WorkerThread


class Plans:
    """Least recently used ones are forgotten, by the total length of their statements."""

    def __init__(self, worker_thread: WorkerThread, characters: int = 20_000_000) -> None:
        self._worker_thread = worker_thread
        self._characters = characters
        self._held = 0
        self._known: OrderedDict[Hashable, Plan] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    async def get(self, key: Hashable, compiled: Callable[[], Plan]) -> Plan:
        """The plan that is known under the key; or compiled now, in the worker thread, since a large one takes long."""
        plan = self._known.get(key)
        if plan is None:
            plan = await self._worker_thread.run(compiled)
            self._keep(key, plan)
        self._known.move_to_end(key)
        return plan

    def _keep(self, key: Hashable, plan: Plan) -> None:
        replaced = self._known.get(key)  # somebody else compiled it meanwhile
        self._known[key] = plan
        self._held += len(plan.text) - (len(replaced.text) if replaced else 0)
        while self._held > self._characters and len(self._known) > 1:
            _, forgotten = self._known.popitem(last=False)
            self._held -= len(forgotten.text)
