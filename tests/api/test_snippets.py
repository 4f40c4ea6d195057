"""What the manual shows in GraphQL, sent to a server in the order of the pages."""

import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import httpx2
from graphql import GraphQLNonNull, OperationDefinitionNode, OperationType, build_schema, parse, type_from_ast

from api.settings import Settings
from db.postgres import pgvector
from db.postgres.engine import Database
from schema import sdl
from tests.api.test_exports import CREATE, ended
from tests.client import Client, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.snippets import ROOT, SNIPPETS
from tests.waiting import TIMEOUT

EXAMPLES = ROOT / "examples"
PUBLISH = (
    """mutation ($id: ID!) { publishVersion(input: {datasetId: $id, split: {trainRatio: 0.8}}) { version { id } } }"""
)
FOUND = """query ($id: ID!) { node(id: $id) { ... on Dataset {
    eventCursor samples(orderBy: {field: PATH}) { nodes { id path annotations { id } } } } } }"""
CANCEL = "mutation ($id: ID!) { cancelJob(input: {jobId: $id}) { job { id } } }"
READER = re.compile(r'(?<=")/(?:home/me|data)(?=/)')  # where the images of the manual's reader are


def copy_of_the_images(folder: Path) -> None:
    """The files that the manual speaks of."""
    for digit in ("1", "7"):
        shutil.copytree(EXAMPLES / "digits" / digit, folder / "digits" / digit)
        for number, label in enumerate(
            sorted((folder / "digits" / digit).glob("*.txt"))
        ):  # several folders, for a split
            (label.parent / str(number % 3)).mkdir(exist_ok=True)
            for file in (label, label.with_suffix(".JPG")):
                file.rename(label.parent / str(number % 3) / file.name)
    for path in ("digits/cats/1.jpg", "digits/cats/2.jpg", "cats/1.jpg", "pictures/cats/1.jpg"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(image_bytes(form="JPEG"))
    (folder / "cells").mkdir()
    for suffix in ("jpg", "xml"):
        shutil.copy(EXAMPLES / "cells" / f"BloodImage_00000.{suffix}", folder / "cells")
    coco = {
        "images": [{"id": 1, "file_name": "7/IMG_1277.JPG", "width": 100, "height": 100}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
        "categories": [{"id": 1, "name": "traffic light"}],
    }
    (folder / "coco" / "annotations").mkdir(parents=True)
    (folder / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(coco))
    (folder / "export").mkdir()
    cat = {"name": "cat", "type": "modelarts/image_classification"}
    line = {"source": "obs://old-bucket/cats/1.jpg", "annotation": [cat]}
    (folder / "export" / "V003.manifest").write_text(json.dumps(line) + "\n")


class Reader:
    """Somebody who tries what is shown with datasets, samples and jobs of his own."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.types = build_schema(sdl())
        self.dataset = self.job = ""  # that the page is about now, and the last one that was started

    async def create(self, name: str, type_: str, labels: list[str]) -> str:
        named = [{"name": label} for label in labels]
        values = {"name": name, "type": type_, "inputPath": str(self.folder / name), "labels": named}
        made = (await self.client.execute(CREATE, {"input": values}))["createDataset"]
        assert (await ended(self.client, made["job"]["id"]))["status"] == "SUCCEEDED"
        return str(made["dataset"]["id"])

    async def prepare(self) -> None:
        self.digits = await self.create("digits", "IMAGE_CLASSIFICATION", ["cat", "dog"])
        self.cells = await self.create("cells", "OBJECT_DETECTION", ["cell", "blurred", "nucleus"])
        published = await self.client.execute(PUBLISH, {"id": self.digits})
        self.version = published["publishVersion"]["version"]["id"]
        self.cursor = (await self.client.execute(FOUND, {"id": self.digits}))["node"]["eventCursor"]

    async def read(self, page: str, code: str) -> None:
        self.dataset = self.cells if "mutation Save" in code else self.dataset
        for operation in parse(code).definitions:
            assert isinstance(operation, OperationDefinitionNode)
            samples = (await self.client.execute(FOUND, {"id": self.dataset}))["node"]["samples"]["nodes"]
            text = self.filled(page, code, samples)
            variables = self.variables(operation, text, samples)
            name = operation.name.value if operation.name else None
            data = await self.send(text, variables, name, operation.operation)
            assert all(data.values()), (page, data)
            for payload in data.values():
                self.job = (payload.get("job") or {}).get("id", self.job)
                if "createDataset" in data:
                    self.dataset = payload["dataset"]["id"]
        if self.job and not self.job.startswith("AutoLabelJob"):
            assert (await ended(self.client, self.job))["status"] == "SUCCEEDED", page
        self.dataset = self.digits if self.dataset == self.cells else self.dataset

    def filled(self, page: str, code: str, samples: list[dict[str, Any]]) -> str:
        """With his own paths and ids instead of those that are shown."""
        ids = {"datasetId": self.dataset, "jobId": self.job, "keepFrom": self.version}
        for argument, id_ in ids.items():
            code = re.sub(rf'(?<=\b{argument}: ")[^"]*', id_, code)
        code = code.replace('node(id: "ImportJob:1")', f'node(id: "{self.job}")')
        annotations = itertools.chain.from_iterable(sample["annotations"] for sample in samples)
        for id_ in re.findall(r'"(Annotation:\d+)"', code):
            code = code.replace(id_, next(annotations)["id"])
        return READER.sub(str(self.folder), code).replace('name: "cats"', f'name: "{Path(page).stem}"')

    def variables(self, operation: OperationDefinitionNode, code: str, samples: list[dict[str, Any]]) -> dict[str, Any]:
        vectors = [{"sampleId": sample["id"], "vector": [1, number]} for number, sample in enumerate(samples)]
        model = {"name": "clip", "modelVersion": "1"}
        values = {
            "dataset": self.dataset,
            "id": self.job if "node(id: $id)" in code else self.dataset,
            "job": self.job,
            "sample": samples[0]["id"] if samples else None,
            "under": "",
            "after": self.cursor,
            "input": {"datasetId": self.dataset, "model": model, "samples": vectors},
        }
        given = {}
        for each in operation.variable_definitions or ():
            type_, name = type_from_ast(self.types, each.type), each.variable.name.value
            if name == "after" and str(type_) == "Int":
                given[name] = 0
            elif name in values:
                given[name] = values[name]
            else:
                assert not isinstance(type_, GraphQLNonNull), name
        return given

    async def send(self, query: str, variables: dict[str, Any], name: str | None, kind: OperationType) -> Any:
        body = {"query": query, "variables": variables, "operationName": name}
        if kind is not OperationType.SUBSCRIPTION:
            answer = (await self.client.request(json=body)).json()
        else:
            headers = self.client.headers | {"accept": "text/event-stream"}
            async with (
                httpx2.AsyncClient(base_url=self.client.url, timeout=TIMEOUT) as http,
                http.stream("POST", "/graphql", json=body, headers=headers) as response,
            ):
                lines = (line async for line in response.aiter_lines() if line.startswith("data: {"))
                answer = json.loads((await anext(lines))[6:])
        assert "errors" not in answer, (query, answer)
        return answer["data"]


async def test_everything_in_graphql_is_answered(settings: Settings, database: Database, tmp_path: Path) -> None:
    assert await pgvector.enable(database.url)
    copy_of_the_images(tmp_path)
    shown = [each for each in SNIPPETS if each.language == "graphql"]
    async with serving(settings) as url:
        reader = Reader(Client(url, await token(database, name="ann"), TIMEOUT), tmp_path)
        await reader.prepare()
        for page, snippets in itertools.groupby(shown, key=lambda each: each.page):
            reader.dataset, reader.job = reader.digits, ""
            for snippet in snippets:
                await reader.read(page, snippet.code)
            if reader.job.startswith("AutoLabelJob"):  # it waits for a worker that has the vision packages
                await reader.client.execute(CANCEL, {"id": reader.job})
