"""`./labelgraph bench`: Labelgraph and the same written by hand, in one run, in alternating rounds.

reads       queries, compared with hand-written SQL behind a bare ASGI app
writes      mutations, compared with hand-written SQL on plain tables without history
sync        syncs of a directory, compared with a loop over its files and the same SQL
images      thumbnails, compared with Pillow in two processes
large       a mutation of all samples, compared with hand-written SQL with history
exports     exports, compared with scripts of pyarrow, json and tar, and the memory that they take
versions    publishing and reading versions, compared with the working set
embeddings  the nearest of many vectors: recall, and hand-written SQL with the same index
attacks     what others notice while one client attacks the server

A ratio is one of speeds: at 0.5, Labelgraph takes twice as long. Every row is kept in history.jsonl in the data folder.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api import embedded_postgres
from benchmarks import attacks, embeddings, exports, images, large, reads, sync, versions, writes
from benchmarks.runner import HEAD, ROOT, Bench, machine, revision


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What it does, returning its exit status if it has one, and its defaults."""

    run: Callable[[Bench], Awaitable[int | None]]
    rows: int = 1_000_000
    rounds: int = 5
    seconds: float = 2.0


BENCHMARKS: Final[Mapping[str, Benchmark]] = {
    "reads": Benchmark(reads.run),
    "writes": Benchmark(writes.run, rounds=3),
    "large": Benchmark(large.run, rounds=1),
    "sync": Benchmark(sync.run, rounds=3),
    "images": Benchmark(images.run),
    "exports": Benchmark(exports.run, rounds=1),
    "versions": Benchmark(versions.run, seconds=0.5),
    "embeddings": Benchmark(embeddings.run, rows=200_000, rounds=3),
    "attacks": Benchmark(attacks.run, rows=100_000, rounds=1, seconds=30.0),
}


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="labelgraph bench", description=__doc__, formatter_class=formatter)
    parser.add_argument("benchmark", nargs="?", choices=BENCHMARKS, default="reads", help="(default: reads)")
    parser.add_argument("--rows", type=int, help="samples in the dataset (default: a million; of attacks 100,000)")
    parser.add_argument("--rounds", type=int, help="alternating rounds, whose median and quartiles are printed")
    parser.add_argument(
        "--seconds", type=float, help="length of one measurement of requests per second, or of an attack"
    )
    parser.add_argument("--only", default="", help="rows, or groups of rows, with this in their name (default: all)")
    parser.add_argument("--data", type=Path, default=ROOT / ".data" / "bench", help="folder of its Postgres and files")
    sys.exit(asyncio.run(run(parser.parse_args())))


async def run(options: argparse.Namespace) -> int | None:
    benchmark = BENCHMARKS[options.benchmark]
    data = options.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    facts = {"revision": revision(), "machine": machine()}
    async with embedded_postgres.postgres(data) as postgres:
        bench = Bench(
            options.benchmark,
            options.rows or benchmark.rows,
            options.rounds or benchmark.rounds,
            options.seconds or benchmark.seconds,
            options.only,
            data,
            postgres,
            facts,
        )
        print(
            f"\n{bench.name}: {bench.rows:,} samples, {bench.rounds} rounds, {', '.join(facts.values())}\n\n{HEAD}",
            flush=True,
        )
        return await benchmark.run(bench)


if __name__ == "__main__":
    main()
