"""Every promise in `docs/guarantees.md` names tests, and they exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROMISE = re.compile(r"^- \*\*(.+?)\*\*(.*?)(?=^- |^## |\Z)", re.MULTILINE | re.DOTALL)
DEFINED = re.compile(r"^(?:async )?def (\w+)\(", re.MULTILINE)
PROMISES = PROMISE.findall((ROOT / "docs" / "guarantees.md").read_text())


def test_promises_are_found() -> None:
    assert len(PROMISES) > 20


@pytest.mark.parametrize(("promise", "kept"), PROMISES, ids=[promise[:60] for promise, _ in PROMISES])
def test_a_promise_is_kept_by_tests_that_exist(promise: str, kept: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", kept)
    assert named, f"nothing is said to keep: {promise}"
    for path, name in named:
        assert name in DEFINED.findall((ROOT / "tests" / path).read_text())
