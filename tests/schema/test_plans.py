import pytest

from db.queries import Plan
from schema.execution.plans import Plans
from schema.execution.worker_thread import WorkerThread


def plan(length: int) -> Plan:
    return Plan(text="x" * length, placeholders=(), order=())


def never() -> Plan:
    pytest.fail("it was known")


async def test_a_plan_is_compiled_once() -> None:
    plans = Plans(WorkerThread("plans"))
    made = plan(3)
    assert await plans.get("a", lambda: made) is made
    assert await plans.get("a", never) is made


async def test_the_least_used_are_forgotten_by_their_length() -> None:
    plans = Plans(WorkerThread("plans"), characters=10)
    for key in "ab":
        await plans.get(key, lambda: plan(5))
    await plans.get("a", never)
    await plans.get("c", lambda: plan(5))
    assert len(plans) == 2
    await plans.get("a", never)
    longer = plan(50)
    assert await plans.get("b", lambda: longer) is longer
    assert len(plans) == 1


async def test_what_fails_to_compile_is_not_kept() -> None:
    plans = Plans(WorkerThread("plans"))
    with pytest.raises(ZeroDivisionError):
        await plans.get("a", lambda: plan(1 // 0))
    assert len(plans) == 0
