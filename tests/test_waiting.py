"""No test depends on a clock: see `tests/waiting.py`. A limit that ends a hung test is a minute at least."""

import re
from collections.abc import Iterator

from tests.conftest import ROOT

MINUTE = 60.0
POLL = 0.2  # seconds between two looks at a condition
LIMIT = re.compile(r"asyncio\.timeout\(([\d.]+)\)|wait_for\(.*, ([\d.]+)\)|\b(?:timeout|within)=([\d.]+)")
SLEEP = re.compile(r"(?<!pg_)\bsleep\(([\d.]+)\)")
ELAPSED = re.compile(r"(?:monotonic|perf_counter|process_time|time\.time)\(\) - \w+ [<>]")
ANY_TIME_WILL_DO = "# any time will do"


def hurried() -> Iterator[str]:
    for path in sorted(ROOT.glob("tests/**/*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            limits = [float(text) for found in LIMIT.findall(line) for text in found if text]
            waits = [float(text) for text in SLEEP.findall(line)]
            is_bound = any(seconds < MINUTE for seconds in limits) or any(seconds > POLL for seconds in waits)
            if (is_bound or ELAPSED.search(line)) and ANY_TIME_WILL_DO not in line:
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def test_no_test_waits_for_a_time_or_is_held_to_one() -> None:
    assert list(hurried()) == []
