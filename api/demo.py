"""`./labelgraph demo`: real images in a dataset, through the public API as any client would."""

import asyncio
import json
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any, cast

from api.command_errors import CommandError
from api.settings import CHECKOUT, Settings

SECONDS = 30  # for one request
POLL = 0.2  # seconds between looks at a sync that runs
BAR = 32

# Images of the checkout, in the folders of these names below `examples/`, and the datasets that are made of them.
EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "name": "digits",
        "type": "IMAGE_CLASSIFICATION",
        "description": "Hand signs for the digits 0 to 9",
        "labels": [{"name": f"digit-{digit}", "shortcut": str(digit)} for digit in range(10)],
    },
    {"name": "cells", "type": "OBJECT_DETECTION", "description": "Blood cells, each in a box"},
)

FIND = """query ($name: String!) {
  dataset(by: {name: $name}) { activeJob { id } statistics { totalCount labeledCount } }
}"""
CREATE = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { job { id } } }"
FOLLOW = """query ($id: ID!) { node(id: $id) { ... on SyncJob {
  status progress scannedCount addedCount error { message } } } }"""
SUGGESTED = "digits"  # the dataset for which the built-in model suggests, and the least confidence
MIN_CONFIDENCE = 0.5
WAITING = """query ($name: String!) { dataset(by: {name: $name}) {
  id statistics { unlabeledCount } models(first: 10) { nodes { pendingCount } } } }"""
SUGGEST = "mutation ($input: StartAutoLabelingInput!) { startAutoLabeling(input: $input) { job { id } } }"
FOLLOW_SUGGESTIONS = """query ($id: ID!) { node(id: $id) { ... on AutoLabelJob {
  status progress sampleCount suggestedCount evaluation { accuracy sampleCount } error { message } } } }"""


def folder(settings: Settings) -> Path:
    """The demo's own copies of the images, made once: whatever is deleted there, the checkout stays as it is."""
    copies = settings.data_dir / "demo"
    for example in EXAMPLES:
        copy = copies / example["name"]
        if not copy.exists():
            unfinished = copy.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(CHECKOUT / "examples" / example["name"], unfinished)
            unfinished.rename(copy)
    return copies


async def show(url: str, token: str, token_file: Path, images: Path, *, suggest: bool = False) -> None:
    """Find the datasets or make them, follow the syncs that run with a bar, and say how to go on. `suggest`: have the
    built-in model suggest labels."""
    print()
    counts = [await _show(url, token, images, example) for example in EXAMPLES]
    waiting = await _suggestions(url, token) if suggest else 0
    print()
    for example, count in zip(EXAMPLES, counts, strict=True):
        total, labelled = count["totalCount"], count["labeledCount"]
        print(f'  Dataset "{example["name"]}": {total} images, {labelled} labelled, {total - labelled} to do.')
    if waiting:
        print(f'  In "{SUGGESTED}", {waiting} suggestions of the built-in model wait for you to decide.')
    print(f"  They lie in {images}\n")
    if sys.stdout.isatty():  # other output may be kept, and read by others
        print(f"  Label images here     {url}/ui/#token={token}")
        print(f"  GraphiQL, signed in   {url}/graphql#token={token}")
        print(f"  GraphQL               {url}/graphql")
        print(f"  Token                 {token}")
    else:
        print(f"  Label images here     {url}/ui/")
        print(f"  GraphQL, GraphiQL     {url}/graphql")
        print(f"  Token, for each       in {token_file}")
    print("\n  Ctrl-C stops the server. The data stays, and the next start finds it.\n", flush=True)


async def _show(url: str, token: str, images: Path, example: dict[str, Any]) -> dict[str, int]:
    """The dataset's counts, once it is synced."""
    name = example["name"]
    dataset = (await query(url, token, FIND, name=name))["dataset"]
    if dataset is not None:
        job = dataset["activeJob"]
    else:
        values = {**example, "inputPath": str(images / name)}
        job = (await query(url, token, CREATE, input=values))["createDataset"]["job"]
    if job is not None:
        await _follow(url, token, job["id"], name)
    counts: dict[str, int] = (await query(url, token, FIND, name=name))["dataset"]["statistics"]
    return counts


async def _suggestions(url: str, token: str) -> int:
    """How many suggestions nobody has decided. The model is started where there are none."""
    dataset = (await query(url, token, WAITING, name=SUGGESTED))["dataset"]
    if not _pending(dataset) and dataset["statistics"]["unlabeledCount"]:
        values = {"datasetId": dataset["id"], "model": {"builtIn": True}, "minConfidence": MIN_CONFIDENCE}
        try:
            job = (await query(url, token, SUGGEST, input=values))["startAutoLabeling"]["job"]
        except CommandError as refused:  # labels that were deleted since
            print(f"  Nothing is suggested: {refused}", flush=True)
            return 0
        await _follow(url, token, job["id"], "model", FOLLOW_SUGGESTIONS)
        dataset = (await query(url, token, WAITING, name=SUGGESTED))["dataset"]
    return _pending(dataset)


def _pending(dataset: dict[str, Any]) -> int:
    return sum(model["pendingCount"] for model in dataset["models"]["nodes"])


async def query(url: str, token: str, document: str, **variables: Any) -> dict[str, Any]:
    """The data of one GraphQL request over HTTP."""
    body = json.dumps({"query": document, "variables": variables}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/graphql", body, headers)  # noqa: S310 (our own URL)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the environment names

    def post() -> dict[str, Any]:
        with opener.open(request, timeout=SECONDS) as response:
            return cast(dict[str, Any], json.load(response))

    answer = await asyncio.to_thread(post)
    if answer.get("errors"):
        raise CommandError(answer["errors"][0]["message"])
    return cast(dict[str, Any], answer["data"])


async def _follow(url: str, token: str, job_id: str, name: str, document: str = FOLLOW) -> None:
    """One line that grows in a terminal; into a file, only the end is written."""
    while True:
        job = (await query(url, token, document, id=job_id))["node"]
        done = job["status"] not in ("QUEUED", "RUNNING")
        share = 1.0 if job["status"] == "SUCCEEDED" else job["progress"] or 0.0
        bar = ("━" * round(share * BAR)).ljust(BAR, "─")
        line = f"  {name:7} {bar} {share:4.0%}  {_said(job)}, {job['status'].lower()}"
        if sys.stdout.isatty():
            print(f"\r\x1b[K{line}", end="\n" if done else "", flush=True)
        elif done:
            print(line, flush=True)
        if done:
            break
        await asyncio.sleep(POLL)
    if job["error"]:
        print(f"  The job failed: {job['error']['message']}", flush=True)


def _said(job: dict[str, Any]) -> str:
    if "scannedCount" in job:
        return f"{job['scannedCount']} files, {job['addedCount']} images added"
    suggested = f"{job['suggestedCount']} suggestions"
    if job["evaluation"] is None:
        return suggested
    learned = job["evaluation"]
    return f"{suggested}, {learned['accuracy']:.0%} right on {learned['sampleCount']} labelled images"
