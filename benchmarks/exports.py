"""Exports to COCO, WebDataset and Parquet, compared with scripts that do so by hand, and what memory they take.

The dataset has boxes, and images of some kilobytes, many of which are links to the same file: the time of disks is not
what is measured. Each export is that of a new worker process, whose largest memory is printed next to the rates.
"""

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks import dataset, pictures, servers
from benchmarks.load import Server, cpu_seconds
from benchmarks.runner import ROOT, Bench, Measure, Row, Side
from benchmarks.sync import POLL
from db.postgres import engine, sql

SQL: Final = sql.load(__file__)
DIRECTORIES, KINDS = 1_000, 1_000  # of `dataset.make`, and different images, to which all others are links
EXPORT: Final = "mutation ($input: ExportDatasetInput!) { exportDataset(input: $input) { job { id } } }"
JOB: Final = """query ($id: ID!) { node(id: $id) { ... on ExportJob {
    status startedAt finishedAt location error { message } summary { imageCount annotationCount size } } } }"""
IMAGES: Final = {"COCO": "NONE", "WEBDATASET": "INCLUDED", "PARQUET": "INCLUDED"}
NAMES: Final = {"COCO": "COCO", "WEBDATASET": "WebDataset with images", "PARQUET": "Parquet with images"}
BY_HAND: Final = {
    "COCO": "SELECT and json.dumps by hand",
    "WEBDATASET": "tar of the images alone",
    "PARQUET": "SELECT and pyarrow by hand",
}
SMALL: Final = {"path": {"directory": "part_0"}}
MIDDLE: Final = {"path": {"startsWith": "part_1"}}


@dataclass(frozen=True, slots=True)
class Exporter:
    """`folder` has the images, `output` what is exported, until it is measured."""

    bench: Bench
    server: Server
    url: str
    folder: Path
    output: Path

    async def export(self, format_: str, filter_: dict[str, Any] | None = None) -> Measure:
        roots = ("--allow-root", str(self.folder), "--allow-root", str(self.output))
        given = {"datasetId": "Dataset:1", "format": format_, "images": IMAGES[format_], "filter": filter_}
        async with servers.worker(self.url, self.bench.data, *roots) as pid:
            _, payload = await self.server.mutate(EXPORT, **given)
            request = self.server.graphql(JOB, {"id": payload["job"]["id"]})
            while (job := (await self.server.ask(request))["node"])["finishedAt"] is None:  # noqa: ASYNC110 (a job is polled)
                await asyncio.sleep(POLL)
            memory, seconds = max_memory(pid), cpu_seconds(pid)
        if job["status"] != "SUCCEEDED":
            raise SystemExit(f"The export ended as {job['status']}: {job['error']}")
        shutil.rmtree(job["location"])
        count = job["summary"]["imageCount"]
        started, finished = (datetime.fromisoformat(job[name]) for name in ("startedAt", "finishedAt"))
        more = {"RSS MiB": memory, "CPU µs": seconds / count * 1e6, "B": job["summary"]["size"] / count}
        return Measure(count, (finished - started).total_seconds(), more)

    async def by_hand(self, format_: str) -> Measure:
        """A process of its own, which says what it needed."""
        target = self.output / "by-hand"
        arguments = ("-m", "benchmarks.hand.exports", format_, engine.driver_url(self.url), self.folder, target)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *map(str, arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
        if process.returncode:
            raise SystemExit(f"{format_} by hand ended with {process.returncode}.")
        said, size = json.loads(printed), target.stat().st_size
        target.unlink()
        if said["count"] != self.bench.rows:
            raise SystemExit(f"{format_} by hand has {said['count']} images instead of {self.bench.rows}.")
        more = {"RSS MiB": said["memory"], "CPU µs": said["CPU"] / said["count"] * 1e6, "B": size / said["count"]}
        return Measure(said["count"], said["seconds"], more)


async def run(bench: Bench) -> None:
    folder, output = bench.data / f"linked_{bench.rows}", bench.data / "exported"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    made = pictures.link_small(folder, bench.rows, KINDS)
    fill = partial(_fill, rows=bench.rows, made=made, folder=folder, output=output)
    url = await servers.migrated(bench.postgres, f"bench_exports_{bench.rows}", fill)
    async with servers.labelgraph(
        url, bench.data, "--no-worker", "--allow-root", str(folder), "--allow-root", str(output)
    ) as server:
        exporter = Exporter(bench, server, url, folder, output)
        middle, small = (_matching(bench.rows, start) for start in ("1", "0"))
        for format_, name in NAMES.items():

            def side(filter_: dict[str, Any] | None, format_: str = format_) -> Side:
                return partial(exporter.export, format_, filter_)

            by_hand = partial(exporter.by_hand, format_)
            rows = (
                Row(f"{name}, {bench.rows:,} samples", "1/s", side(None), by_hand, BY_HAND[format_]),
                Row(f"{name}, {middle:,} samples", "1/s", side(MIDDLE), side(SMALL), f"{small:,} samples"),
            )
            await bench.run(*(row for row in rows if bench.wants(row.name)))


async def _fill(url: str, *, rows: int, made: Sequence[bytes], folder: Path, output: Path) -> None:
    await dataset.make(url, samples=rows)
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        async with connection.transaction():
            await connection.execute(SQL.without_triggers)
            await sql.run(connection, SQL.dataset, input_path=str(folder), output_path=str(output))
            etags = [blake2b(data, digest_size=16).hexdigest() for data in made]
            await sql.run(connection, SQL.pictures, etags=etags, sizes=[len(data) for data in made], kinds=KINDS)
            await sql.run(connection, SQL.boxes)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def _matching(rows: int, start: str) -> int:
    """How many samples are in directories whose number begins so; of 0 there is one."""
    return sum(
        len(range(n or DIRECTORIES, rows + 1, DIRECTORIES)) for n in range(DIRECTORIES) if str(n).startswith(start)
    )


def max_memory(pid: int) -> float:
    """The most that a process had in memory so far, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
