import asyncio
import itertools
from functools import partial

import pytest

from db.queries import Plan
from schema.execution.plans import Plans
from schema.execution.worker_thread import WorkerThread

ANN = "ann"


def plan(length: int) -> Plan:
    return Plan(text="x" * length, placeholders=(), order=())


def never() -> Plan:
    pytest.fail("it was known")


async def test_a_plan_is_compiled_once() -> None:
    plans = Plans(WorkerThread("plans"))
    made = plan(3)
    assert await plans.get(ANN, "a", lambda: made) is made
    assert await plans.get(ANN, "a", never) is made


async def test_the_least_used_are_forgotten_by_their_length() -> None:
    plans = Plans(WorkerThread("plans"), characters=10)
    for key in "ab":
        await plans.get(ANN, key, lambda: plan(5))
    await plans.get(ANN, "a", never)
    await plans.get(ANN, "c", lambda: plan(5))
    assert len(plans) == 2
    await plans.get(ANN, "a", never)
    longer = plan(50)
    assert await plans.get(ANN, "b", lambda: longer) is longer
    assert len(plans) == 1


async def test_what_many_need_at_once_is_compiled_once() -> None:
    plans, count = Plans(WorkerThread("plans")), itertools.count(1)
    found = await asyncio.gather(*(plans.get(owner, "a", lambda: plan(next(count))) for owner in "xyz" * 5))
    assert [each.text for each in found] == ["x"] * 15


async def test_whoever_needs_many_plans_delays_another_by_one() -> None:
    plans, made = Plans(WorkerThread("plans")), list[str]()

    def compiled(owner: str) -> Plan:
        made.append(owner)
        return plan(1)

    many = [asyncio.create_task(plans.get(ANN, number, partial(compiled, ANN))) for number in range(50)]
    await asyncio.sleep(0)
    await plans.get("bob", "b", partial(compiled, "bob"))
    assert made.index("bob") <= 2
    await asyncio.gather(*many)


async def test_what_fails_to_compile_is_not_kept() -> None:
    plans = Plans(WorkerThread("plans"))
    with pytest.raises(ZeroDivisionError):
        await plans.get(ANN, "a", lambda: plan(1 // 0))
    assert len(plans) == 0
