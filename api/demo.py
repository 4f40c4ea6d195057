"""`./labelgraph demo`: real images in a dataset, through the public API as any client would."""

import asyncio
import json
import shutil
import sys
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from api.command_errors import CommandError
from api.settings import CHECKOUT, Settings

PROTOCOL = Subprotocol("graphql-transport-ws")
SECONDS = 30
BAR = 32


@dataclass(frozen=True, slots=True)
class Example:
    """Images of the checkout, below `examples/`, and the dataset that is made of them."""

    name: str
    type: str
    description: str


EXAMPLES = (
    Example("digits", "IMAGE_CLASSIFICATION", "Hand signs for the digits 0 to 9"),
    Example("cells", "OBJECT_DETECTION", "Blood cells, each in a box"),
)

FIND = """query ($name: String!) {
  dataset(by: {name: $name}) { id activeJob { id } statistics { total labeled unlabeled } }
}"""
CREATE = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } job { id } } }"
FOLLOW = """subscription ($id: ID!) {
  syncProgress(datasetId: $id) { status progress scanned added error { message } }
}"""


class DemoError(CommandError):
    """The API refused a request of the demo; the message is the API's."""


def folder(settings: Settings) -> Path:
    """The demo's own copies of the images, made once: whatever is deleted there, the checkout stays as it is."""
    copies = settings.data_dir / "demo"
    for example in EXAMPLES:
        copy = copies / example.name
        if not copy.exists():
            unfinished = copy.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(CHECKOUT / "examples" / example.name, unfinished)
            unfinished.rename(copy)
    return copies


@dataclass(frozen=True, slots=True)
class Access:
    """The owner's token, and the file that contains it."""

    token: str
    file: Path

    def describe(self, url: str) -> str:
        """How to sign in. The token is printed only into a terminal: other output may be kept, and read by others."""
        if not sys.stdout.isatty():
            return f"  GraphQL               {url}/graphql\n  Token                 in {self.file}\n"
        return (
            f"  GraphiQL, signed in   {url}/graphql#token={self.token}\n"
            f"  GraphQL               {url}/graphql\n"
            f"  Token                 {self.token}\n"
        )


async def show(url: str, access: Access, images: Path) -> None:
    """Find the datasets or make them, follow the syncs that run with a bar, and say how to go on."""
    print()
    counts = [await _show(url, access.token, images / example.name, example) for example in EXAMPLES]
    print()
    for example, count in zip(EXAMPLES, counts, strict=True):
        todo = f"{count['labeled']} labelled, {count['unlabeled']} to do"
        print(f'  Dataset "{example.name}": {count["total"]} images, {todo}.')
    print(
        f"""  They lie in {images}

{access.describe(url)}
  Ctrl-C stops the server. The data stays, and the next start finds it.
""",
        flush=True,
    )


async def _show(url: str, token: str, images: Path, example: Example) -> dict[str, int]:
    """The dataset's counts, once it is synced."""
    dataset = (await query(url, token, FIND, name=example.name))["dataset"]
    if dataset is None:
        values = {"name": example.name, "type": example.type, "description": example.description}
        created = await query(url, token, CREATE, input={**values, "inputPath": str(images)})
        dataset = created["createDataset"]["dataset"] | {"activeJob": created["createDataset"]["job"]}
    if dataset["activeJob"] is not None:
        async for job in _progress(url, token, dataset["id"]):
            _draw(job, example.name)
    counts: dict[str, int] = (await query(url, token, FIND, name=example.name))["dataset"]["statistics"]
    return counts


async def query(url: str, token: str, document: str, **variables: Any) -> dict[str, Any]:
    """The data of one GraphQL request over HTTP."""
    body = json.dumps({"query": document, "variables": variables}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/graphql", body, headers)  # noqa: S310 (our own URL)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the environment names

    def post() -> dict[str, Any]:
        with opener.open(request, timeout=SECONDS) as response:
            return cast(dict[str, Any], json.load(response))

    return _data(await asyncio.to_thread(post))


def _data(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("errors"):
        raise DemoError(answer["errors"][0]["message"])
    return cast(dict[str, Any], answer["data"])


async def _progress(url: str, token: str, dataset_id: str) -> AsyncIterator[dict[str, Any]]:
    """Every step of the dataset's latest sync, over WebSocket (graphql-transport-ws)."""
    address = url.replace("http", "ws", 1) + "/graphql"
    async with connect(address, subprotocols=[PROTOCOL], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"token": token}}))
        request = {"query": FOLLOW, "variables": {"id": dataset_id}}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": request}))
        async for text in socket:
            message = json.loads(text)
            match message["type"]:
                case "next":
                    yield _data(message["payload"])["syncProgress"]
                case "error":
                    raise DemoError(message["payload"][0]["message"])
                case "complete":
                    return


def _draw(job: dict[str, Any], name: str) -> None:
    """One line that grows in a terminal; into a file, only the end is written."""
    done = job["status"] not in ("QUEUED", "RUNNING")
    if not (done or sys.stdout.isatty()):
        return
    share = 1.0 if job["status"] == "SUCCEEDED" else job["progress"] or 0.0
    bar = ("━" * round(share * BAR)).ljust(BAR, "─")
    line = (
        f"  {name:7} {bar} {share:4.0%}  {job['scanned']} files, {job['added']} images added, {job['status'].lower()}"
    )
    print(f"\r\x1b[K{line}" if sys.stdout.isatty() else line, end="\n" if done else "", flush=True)
    if job["error"]:
        print(f"  The sync failed: {job['error']['message']}", flush=True)
