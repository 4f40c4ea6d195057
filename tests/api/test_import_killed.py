"""A server, its worker in it, that is killed while it stores the images of an import, and takes a part of the next."""

import asyncio
import io
import os
import re
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from db.ingest.uploads.files import STAGING
from db.postgres.engine import Database
from tests.api.test_import_parts import IMPORT, REQUEST
from tests.api.uploads.upload_client import CREATE
from tests.client import Client, token
from tests.conftest import ROOT
from tests.db.dataset_fixture import image_bytes
from tests.waiting import TIMEOUT, TIMEOUT_VARIABLES, wait_until

LISTENS = re.compile(r"(http://\S+)/graphql")
# A server with small parts. With `gate` it stores three images of an import, and the others never.
PROGRAM = """
import asyncio, itertools, sys
from api.__main__ import main
from db.ingest.imports import contained
from db.ingest.uploads import parts

parts.PART, write_new, written = 1_000, contained.write_new, itertools.count(1)

async def gated(*arguments):
    if next(written) > 3:
        await asyncio.Event().wait()
    return await write_new(*arguments)

if sys.argv.pop(1) == "gate":
    contained.write_new = gated
sys.exit(main())
"""
JOB = """query ($id: ID!) {
    node(id: $id) { ... on ImportJob { status error { message } addedCount notices { kind } } } }"""


def archive(label: str) -> tuple[dict[str, bytes], bytes]:
    images, out = {f"{label}/{number}.png": image_bytes() for number in range(12)}, io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in images.items():
            packed.writestr(name, data)
    return images, out.getvalue()


@asynccontextmanager
async def server(gate: str, database: Database, root: Path, text: str) -> AsyncIterator["tuple[Client, Any]"]:
    command = ("serve", "--port", "0", "--data", str(root / "data"))
    environment = os.environ | {
        "DATABASE_URL": database.url,
        "LABELGRAPH_ALLOW_ROOT": str(root),
        "PYTHONUNBUFFERED": "1",
        **TIMEOUT_VARIABLES,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, gate, *command), cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            if listens := LISTENS.search(line.decode()):
                break
        else:
            raise AssertionError("the server did not start")
        yield Client(listens[1], text), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def missing(client: Client, dataset: str, key: str, data: bytes) -> list[dict[str, Any]]:
    file = {"datasetId": dataset, "key": key, "fileName": f"{key}.zip", "size": len(data)}
    return list((await client.execute(REQUEST, {"input": file}))["requestImportUpload"]["missingParts"])


async def upload(client: Client, dataset: str, key: str, data: bytes) -> None:
    while some := await missing(client, dataset, key, data):
        async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
            for part in some:
                offset = int(part["offset"])
                response = await http.put(part["url"], content=data[offset : offset + part["size"]])
                assert response.status_code == 200


async def start(client: Client, dataset: str, key: str) -> str:
    input_ = {"datasetId": dataset, "uploadKey": key, "images": "STORE"}
    return str((await client.execute(IMPORT, {"input": input_}))["importAnnotations"]["job"]["id"])


async def has_succeeded(client: Client, job: str) -> bool:
    found = (await client.execute(JOB, {"id": job}))["node"]
    assert found["status"] not in ("FAILED", "CANCELED"), found
    assert found["status"] != "SUCCEEDED" or (found["addedCount"], found["notices"]) == (12, [])
    return bool(found["status"] == "SUCCEEDED")


@pytest.mark.slow
async def test_a_killed_server_goes_on_with_imports_and_parts(database: Database, tmp_path: Path) -> None:
    folder, staging = tmp_path / "in", tmp_path / "in" / STAGING
    folder.mkdir()
    text, (cats, first), (dogs, second) = await token(database), archive("cat"), archive("dog")

    def stored() -> dict[str, bytes]:
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("*/*.png")}

    async with server("gate", database, tmp_path, text) as (client, process):
        made = await client.execute(CREATE, {"input": {"name": "pets", "inputPath": str(folder), "syncNow": False}})
        dataset = made["createDataset"]["dataset"]["id"]
        await upload(client, dataset, "cats", first)
        job = await start(client, dataset, "cats")
        await wait_until(lambda: len(stored()) == 3)
        part, *_ = await missing(client, dataset, "dogs", second)
        url = urlsplit(part["url"])
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nhost: {url.netloc}\r\ncontent-length: {part['size']}\r\n\r\n"
        writer.write(head.encode() + second[:500])
        await writer.drain()
        process.kill()
        await process.wait()
        writer.close()
    async with server("open", database, tmp_path, text) as (client, _):
        await wait_until(lambda: has_succeeded(client, job))
        assert stored() == cats
        assert (await missing(client, dataset, "dogs", second))[0]["number"] == 0
        await upload(client, dataset, "dogs", second)
        job = await start(client, dataset, "dogs")
        await wait_until(lambda: has_succeeded(client, job))
        await wait_until(lambda: not any(staging.iterdir()))
    assert stored() == cats | dogs
    query = "SELECT count(*) FROM sample JOIN annotation ON sample_id = sample.id WHERE path LIKE 'cat/%'"
    assert await database.value(query) == 12
