"""The benchmarks run, at a tiny size, and keep their rows. Nothing that they time is asserted."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import embedded_postgres
from benchmarks.runner import HISTORY, Bench, Measure, Row, Side
from tests.conftest import FAST, ROOT
from tests.waiting import TIMEOUT

ROWS = 1_000
NAMES = {
    "reads": [
        "a page of 100 with labels, 1 connection",
        "one sample, 16 connections",
        "one sample, 16 connections, metrics and traces",
        "label OR file name",
        "facets: isHard true, 1 %",
        "a page by uncertainty",
        "a page by model and confidence",
    ],
    "writes": [
        "labelSamples 100 × 2 labels, 1 client",
        "labelSamples 100 × 2 labels, 16 clients",
        "labelSamples 100 × 2 labels, 64 clients",
        "label 100 samples by filter",
        "undo of labelling",
        "deleteLabels LABEL_ONLY, 100 samples",
        "undo of LABEL_ONLY",
        "deleteLabels LABEL_AND_SAMPLES, 100 samples",
        "undo of LABEL_AND_SAMPLES",
        "setCurrentVersion, 100 samples",
        "suggestAnnotations, 50 samples",
        "decideSuggestions ACCEPT, 50 samples by filter",
        "decideSuggestions REJECT, 50 samples by filter",
        "annotateSamples 100 × 60 boxes",
        "others while annotating, p99",
        "uploadSamples 10 × 315 kB",
        "publishVersion with a split, 1,000 samples",
        "labelling while publishing, p99",
    ],
    "large": [
        "label 1,000 samples",
        "others during it: label 1,000 samples, p99",
        "label 1,000 samples, with a past that versions are read from, others on both sides",
        "undo of the merge",
        "deleteLabels LABEL_SAMPLES_AND_SOURCES",
    ],
    "sync": [
        "the first sync, 100 files",
        "others during the first sync, p99",
        "a sync, nothing changed, 100 files",
        "others during a sync, p99",
    ],
    "exports": ["COCO, 1,000 samples", "WebDataset with images, 1,000 samples", "Parquet with images, 1,000 samples"],
    "images": ["thumbnails, cold, 12 MP to 256"],
    "versions": [
        "publishVersion, 1,000 samples",
        "page of the oldest version, a substring",
        "comparison of neighbours",
    ],
    "embeddings": ["the nearest 10 of all", "the nearest 10 of a hundredth"],
    "attacks": ["empty fragments"],
}

ONLY = {"attacks": "empty fragments", "exports": "1,000 samples"}
SECONDS = {"attacks": "0.1"}  # of a measurement; of others 0.01, in which each client sends a request at least
LONGEST = 3 * TIMEOUT  # seconds for a benchmark, which does many things


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With a Postgres that the benchmarks of this file share, and that runs from one to the next."""
    folder = tmp_path_factory.mktemp("bench")
    server = asyncio.run(embedded_postgres.join(folder, options=FAST))
    yield folder
    asyncio.run(server.leave())


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", NAMES)
def test_a_benchmark_runs_and_keeps_its_rows(benchmark: str, folder: Path) -> None:
    seconds = SECONDS.get(benchmark, "0.01")
    size = ["--rows", str(ROWS), "--rounds", "1", "--seconds", seconds, "--data", str(folder)]
    only = ["--only", ONLY[benchmark]] if benchmark in ONLY else []
    done = subprocess.run(
        [sys.executable, "-P", "-m", "benchmarks", benchmark, *size, *only],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    held_off = benchmark != "attacks" or "Not held off" not in done.stdout
    assert done.returncode == (0 if held_off else 1), done.stderr
    kept = [row for row in records(folder) if row["benchmark"] == benchmark]
    names = [row["row"] for row in kept]
    assert [name for name in NAMES[benchmark] if name not in names] == []
    assert all(f"| {name} |" in done.stdout for name in names)
    assert {(row["rows"], bool(row["revision"]), bool(row["machine"])) for row in kept} == {(ROWS, True, True)}


async def test_rounds_alternate_and_a_ratio_is_one_of_speeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    def side(name: str, count: float, *seconds: float) -> Side:
        times = iter(seconds)

        async def measure() -> Measure:
            order.append(name)
            return Measure(count, next(times), {"CPU ms": 3.0})

        return measure

    async def before() -> None:
        order.append("before")

    bench = Bench("reads", 10, 3, 1.0, "", tmp_path, "", {"revision": "abc"})
    await bench.run(
        Row("slower in two of three", "ms", side("ours", 10, 2, 4, 1), side("baseline", 10, 1, 1, 2), before=before),
        Row("the next", "1/s", side("next", 10, 1, 1, 1), side("its baseline", 10, 2, 2, 2), goal=0.5),
    )
    first, second = ["ours", "baseline"], ["next", "its baseline"]
    back = [*reversed(first), *reversed(second)]
    assert [name for name in order if name != "before"] == [*first, *second, *back, *first, *second]
    assert order.index("before") == 0
    assert order.count("before") == 3
    one, other = records(tmp_path)
    assert one["ours"] == {"ms": [200.0, 150.0, 300.0], "CPU ms": [3.0, 3.0, 3.0]}
    assert one["baseline_figures"] == {"ms": [100.0, 100.0, 150.0], "CPU ms": [3.0, 3.0, 3.0]}
    assert one["ratio"] == [0.5, 0.375, 1.25]
    assert (other["ratio"], other["goal"], other["revision"]) == ([2.0, 2.0, 2.0], 0.5, "abc")
    assert "| the next | 1/s | 10 | 5 | by hand | 2.00 | 2.00–2.00 | ≥ 0.5 | CPU ms 3 / 3 |" in capsys.readouterr().out


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
