"""A client that sends files to a dataset."""

import io
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from PIL import Image

from api.settings import Settings
from db.postgres.engine import Database
from db.storage import Store
from tests.client import Client, serving, token
from tests.db.dataset_fixture import image_bytes

NUMBERS = itertools.count()
LOCAL_ONLY = pytest.mark.parametrize("uploader", ["local"], indirect=True)  # wherever the bytes would have gone
CREATE = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"
UPLOAD = """mutation ($input: UploadSamplesInput!) { uploadSamples(input: $input) {
    results { fileName sample { id path fileName size width height format state labels { id name } createdAt revision
                                isSourceAvailable imageUrl }
              error { code message } }
    change { revision kind }
    dataset { revision statistics { totalCount labeledCount unlabeledCount }
    labels { name sampleCount annotationCount } } } }"""


File = tuple[str, bytes]


def good_and_bad_files() -> dict[str, tuple[bytes, str | None]]:
    """Files by name, each with the code of its refusal, if it is refused."""
    gif, mpo = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (4, 4)).save(gif, "GIF")
    Image.new("RGB", (4, 4)).save(mpo, "MPO", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    jpeg = image_bytes(form="JPEG", size=(200, 200))
    return {
        "ok.bmp": (image_bytes(form="BMP"), None),
        "phone.jpg": (mpo.getvalue(), None),
        "gif.jpg": (gif.getvalue(), "UNSUPPORTED_FORMAT"),
        "png.jpg": (image_bytes(), "UNSUPPORTED_FORMAT"),
        "page.png": (b"<html><script>alert(1)</script>", "UNSUPPORTED_FORMAT"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "IMAGE_UNREADABLE"),
    }


@dataclass(frozen=True, slots=True)
class UploadClient:
    """A dataset, the store it is in, and a client who sends files."""

    client: Client
    store: Store
    settings: Settings
    dataset: str

    async def send(
        self, operations: Any, paths: Any, files: Sequence[tuple[str, File]], **headers: str
    ) -> httpx2.Response:
        """A form as any stock client makes it."""
        fields = {"operations": json.dumps(operations), "map": json.dumps(paths)}
        preflight = {"graphql-require-preflight": "true"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.request(data=fields, files=list(files), headers=preflight)

    async def answer(self, *files: File, key: str = "", **more: Any) -> dict[str, Any]:
        values = {"datasetId": self.dataset, "files": [None] * len(files)} | more
        operations = {"query": UPLOAD, "variables": {"input": values}}
        paths = {str(n): [f"variables.input.files.{n}"] for n in range(len(files))}
        headers = {"idempotency_key": key} if key else {}
        parts = [(str(n), file) for n, file in enumerate(files)]
        response = await self.send(operations, paths, parts, **headers)
        return {"status": response.status_code, **response.json()}

    async def upload(self, *files: File, **more: Any) -> dict[str, Any]:
        answer = await self.answer(*files, **more)
        assert "errors" not in answer, answer
        return dict(answer["data"]["uploadSamples"])

    async def codes(self, *files: File, **more: Any) -> list[str | None]:
        """For each file: its error's code, None where there is none."""
        results = (await self.upload(*files, **more))["results"]
        assert all((result["sample"] is None) == (result["error"] is not None) for result in results)
        return [result["error"] and result["error"]["code"] for result in results]

    async def listed(self) -> list[str]:
        return sorted([found.path async for page in self.store.pages() for found in page.objects])


@asynccontextmanager
async def upload_client(settings: Settings, store: Store, path: str, database: Database) -> AsyncIterator[UploadClient]:
    """A server with these settings, and a new dataset with this input path."""
    settings = settings.with_changes(worker=False)
    async with serving(settings) as url:
        client = Client(url, await token(database))
        labels = [{"name": "cat"}, {"name": "dog"}]
        values = {"name": f"d{next(NUMBERS)}", "inputPath": path, "syncNow": False, "labels": labels}
        created = await client.execute(CREATE, {"input": values})
        yield UploadClient(client, store, settings, created["createDataset"]["dataset"]["id"])
