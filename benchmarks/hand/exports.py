"""Exports by hand, as one would write them for a single dataset.

`python -m benchmarks.hand.exports FORMAT URL IMAGES FILE` prints how many images it wrote, its seconds, its processor
time and its largest memory in MiB.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq

ROWS: Final = 100  # of a row group, as ours
PREFETCH: Final = 1_000
IMAGES: Final = (
    """SELECT s.id, s.path, width, height FROM sample s JOIN source ON source.id = source_id ORDER BY s.path"""
)
ANNOTATIONS: Final = """SELECT id, sample_id, label_id, shape FROM annotation ORDER BY id"""
OBJECTS: Final = """
    SELECT s.path, width, height,
           ARRAY(SELECT shape::text FROM annotation a WHERE a.sample_id = s.id ORDER BY id) AS shapes,
           ARRAY(SELECT label_id FROM annotation a WHERE a.sample_id = s.id ORDER BY id) AS labels
    FROM sample s JOIN source ON source.id = source_id ORDER BY s.path
"""
SCHEMA: Final = pa.schema(
    [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        *(("width", pa.int32()), ("height", pa.int32())),
        ("objects", pa.struct([("bbox", pa.list_(pa.list_(pa.float64()))), ("categories", pa.list_(pa.int64()))])),
    ]
)


async def coco(url: str, _: Path, target: Path) -> int:
    connection, count = await asyncpg.connect(url), 0
    with target.open("w") as file:
        file.write('{"images": [')
        async for row in _rows(connection, IMAGES):
            image = {"id": row["id"], "file_name": row["path"], "width": row["width"], "height": row["height"]}
            file.write((", " if count else "") + json.dumps(image))
            count += 1
        file.write('], "annotations": [')
        comma = ""
        async for row in _rows(connection, ANNOTATIONS):
            box = _box(row["shape"])
            annotation = {
                "id": row["id"],
                "image_id": row["sample_id"],
                "category_id": row["label_id"],
                "bbox": box,
                "area": box[2] * box[3],
                "segmentation": [],
                "iscrowd": 0,
            }
            file.write(comma + json.dumps(annotation))
            comma = ", "
        labels = [
            {"id": row["id"], "name": row["name"]} for row in await connection.fetch("SELECT id, name FROM label")
        ]
        file.write(f'], "categories": {json.dumps(labels)}}}')
    await connection.close()
    return count


async def tar(url: str, images: Path, target: Path) -> int:
    connection = await asyncpg.connect(url)
    command = ["tar", "-cf", str(target), "--hard-dereference", "-C", str(images), "--no-recursion", "-T", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        count = 0
        async for row in _rows(connection, IMAGES):
            process.stdin.write(row["path"] + "\n")
            count += 1
        process.stdin.close()
        if process.wait():
            sys.exit("tar failed")
    await connection.close()
    return count


async def parquet(url: str, images: Path, target: Path) -> int:
    connection, count, group = await asyncpg.connect(url), 0, list[dict[str, Any]]()
    with pq.ParquetWriter(target, SCHEMA) as writer:
        async for row in _rows(connection, OBJECTS):
            image = {"bytes": (images / row["path"]).read_bytes(), "path": row["path"]}
            objects = {"bbox": [_box(shape) for shape in row["shapes"]], "categories": row["labels"]}
            group.append({"image": image, "width": row["width"], "height": row["height"], "objects": objects})
            count += 1
            if len(group) == ROWS:
                writer.write_table(pa.Table.from_pylist(group, schema=SCHEMA))
                group.clear()
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema=SCHEMA))
    await connection.close()
    return count


async def _rows(connection: "asyncpg.Connection[asyncpg.Record]", query: str) -> AsyncIterator[asyncpg.Record]:
    async with connection.transaction():
        async for row in connection.cursor(query, prefetch=PREFETCH):
            yield row


def _box(shape: str) -> list[float]:
    box = json.loads(shape)
    return [box["xMin"], box["yMin"], box["xMax"] - box["xMin"], box["yMax"] - box["yMin"]]


def main(format_: str, url: str, images: str, target: str) -> None:
    started = time.perf_counter()
    write = {"COCO": coco, "WEBDATASET": tar, "PARQUET": parquet}[format_]
    count = asyncio.run(write(url, Path(images), Path(target)))
    seconds = time.perf_counter() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    said = {
        "count": count,
        "seconds": seconds,
        "CPU": sum(each.ru_utime + each.ru_stime for each in used),
        "memory": max(each.ru_maxrss for each in used) / 1024,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
