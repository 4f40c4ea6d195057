"""What the manual shows for a shell and for `labelgraph-client`, tried on the server that run.mjs started.

`tests/snippets.py` lists what is here.
"""

import csv
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from shlex import quote
from typing import ClassVar

from labelgraph_client import (  # type: ignore[import-not-found]
    Client,
    CreateDatasetInput,
    DeleteDatasetInput,
    LabelSamplesInput,
    SampleSelectionInput,
)

from tests.snippets import CLIENTS, ROOT, RUN_BY, Snippet, snippet, snippets

URL = os.environ["LABELGRAPH_CLIENTS_URL"]
TOKEN = os.environ["LABELGRAPH_CLIENTS_TOKEN"]
IMAGES = Path(os.environ["LABELGRAPH_CLIENTS_IMAGES"])  # below which datasets may be
EXAMPLES = ROOT / "examples"
TIMEOUT = 300  # seconds, for what hangs
SERVER, DATA = os.environ["LABELGRAPH_CLIENTS_PYTHON"], os.environ["LABELGRAPH_CLIENTS_DATA"]
PROGRAMS = {
    "lg": f'PYTHONPATH={quote(f"{EXAMPLES}/python")} exec {quote(sys.executable)} -m labelgraph_client.cli "$@"',
    "labelgraph": f'PYTHONPATH={quote(str(ROOT))} exec {quote(SERVER)} -P -m api "$@" --data {quote(DATA)}',
}


class Snippets(unittest.TestCase):
    """Somebody with a folder of his own, a dataset `digits`, and a token in the environment."""

    tried: ClassVar[set[str]] = set()

    @classmethod
    def tearDownClass(cls) -> None:
        listed = {snippet(page, start).code for page in RUN_BY for start, by in RUN_BY[page].items() if by == CLIENTS}
        assert cls.tried == listed, cls.tried ^ listed

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir=IMAGES)
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        path = os.pathsep.join([folder.name, str(Path(sys.executable).parent), os.environ["PATH"]])
        own = {"HOME": folder.name, "LABELGRAPH_URL": URL, "LABELGRAPH_TOKEN": TOKEN, "PATH": path}
        self.environment = os.environ | own
        for name, command in PROGRAMS.items():
            (self.folder / name).write_text(f"#!/bin/sh\n{command}\n")
            (self.folder / name).chmod(0o755)
        self.client = Client(URL, TOKEN)
        self.addCleanup(self.client.close)
        for digit in ("1", "7"):
            shutil.copytree(EXAMPLES / "digits" / digit, self.folder / "digits" / digit)
        self.dataset = self.create("digits")

    def create(self, name: str) -> str:
        made = self.client.create_dataset(CreateDatasetInput(name=name, input_path=str(self.folder / name)))
        assert made.job
        self.addCleanup(self.client.delete_dataset, DeleteDatasetInput(dataset_id=made.dataset.id))
        self.client.wait(made.job)
        return str(made.dataset.id)

    def labels(self) -> dict[str, int]:
        return {label.name: label.sample_count for label in self.client.labels(self.dataset)}

    def code(self, snippet: Snippet) -> str:
        """With his own server, token and dataset instead of those that are shown."""
        self.tried.add(snippet.code)
        code = snippet.code.replace("http://127.0.0.1:8000", URL).replace("lg_…", TOKEN)
        return code.replace("Dataset:1", self.dataset)

    def start(self, *command: str, stdin: str | None = None) -> "subprocess.Popen[str]":
        given = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.addCleanup(given.close)
        given.write(stdin or "")
        given.seek(0)
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=given, stdout=pipe, stderr=pipe, text=True
        )

    def run_to_its_end(self, *command: str, stdin: str | None = None) -> str:
        """What it prints."""
        with self.start(*command, stdin=stdin) as process:
            printed, errors = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, printed + errors
        return printed

    def shell(self, snippet: Snippet, stdin: str | None = None) -> str:
        return self.run_to_its_end("sh", "-euc", self.code(snippet), stdin=stdin)

    def python(self, snippet: Snippet, *arguments: str) -> str:
        return self.run_to_its_end(sys.executable, "-W", "error", "-c", self.code(snippet), *arguments)

    def test_a_first_query(self) -> None:
        (self.folder / ".data").mkdir()
        (self.folder / ".data" / "token").write_text(TOKEN)
        answer = json.loads(self.shell(snippet("README.md", "curl")))
        assert len(answer["data"]["dataset"]["samples"]["nodes"]) == 3, answer
        shutil.copy(EXAMPLES / "cells" / "BloodImage_00000.jpg", self.folder / "cat.jpg")
        uploaded = json.loads(self.shell(snippet("docs/clients.md", "curl")))
        [result] = uploaded["data"]["uploadSamples"]["results"]
        assert (result["fileName"], result["error"]) == ("cat.jpg", None)

    def test_a_table(self) -> None:
        for code in snippets("docs/recipes.md", "python"):
            (self.folder / code.split('"""')[1].split()[0]).write_text(code)
        self.shell(snippet("docs/recipes.md", "export LABELGRAPH_URL"))
        with (self.folder / "digits.csv").open() as table:
            assert {row["labels"] for row in csv.DictReader(table)} >= {"digit-1", "digit-7", ""}

    def test_tokens_of_people(self) -> None:
        (self.folder / "cats").mkdir()
        self.create("cats")
        token, *listed = self.shell(snippet("docs/security.md", "./labelgraph token")).splitlines()
        assert token.startswith("lg_")
        assert any(line.split()[-1] == "ann" for line in listed), listed

    def test_labels_come_in(self) -> None:
        (self.folder / "labels.csv").write_text("path,label\n1/IMG_1271.JPG,one\n1/IMG_1281.JPG,one\nno.jpg,one\n")
        script = snippet("docs/imports.md", '"""python labels_in.py')
        printed = self.python(script, "digits", "labels.csv")
        assert "2 samples have other labels, 1 images are no samples" in printed
        assert "IMAGE_MISSING" in printed
        assert self.labels()["one"] == 2
        self.has_ten_lines(script)

    def test_an_image_folder_comes_out(self) -> None:
        script = snippet("docs/exports.md", '"""python image_folder_out.py')
        self.python(script, "digits", "out")
        found = [path.parent.name for path in (self.folder / "out").rglob("*") if path.is_file()]
        assert {name: found.count(name) for name in found} == self.labels()
        self.has_ten_lines(script)

    def test_coco_becomes_yolo(self) -> None:
        (self.folder / "images").mkdir()
        for number in (0, 1):
            shutil.copy(EXAMPLES / "cells" / f"BloodImage_0000{number}.jpg", self.folder / "images")
        image = {"id": 7, "file_name": "BloodImage_00000.jpg", "width": 640, "height": 480}
        box = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [160, 120, 320, 240]}
        coco = {"images": [image], "annotations": [box], "categories": [{"id": 3, "name": "cell"}]}
        (self.folder / "instances.json").write_text(json.dumps(coco))
        script = snippet("docs/exports.md", '"""python coco_to_yolo.py')
        self.python(script, "boxes", str(self.folder / "images"), "instances.json")
        self.client.delete_dataset(DeleteDatasetInput(dataset_id=self.client.dataset("boxes").id))
        out = self.folder / "boxes"
        files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
        assert files == ["data.yaml", "images/train/BloodImage_00000.jpg", "labels/train/BloodImage_00000.txt"], files
        assert (out / files[-1]).read_text() == "0 0.5 0.5 0.5 0.5\n"
        self.has_ten_lines(script)

    def has_ten_lines(self, script: Snippet) -> None:
        assert sum(bool(line) for line in script.code.splitlines()) <= 10

    def test_the_programs_of_the_client(self) -> None:
        page = "examples/python/README.md"
        assert "2 labelled: " in self.python(snippet(page, "from labelgraph_client"))
        assert self.python(snippet(page, "import asyncio")).count("['digit-7']") == 9

    def test_lg(self) -> None:
        page = "examples/python/README.md"
        for name in ("LABELGRAPH_URL", "LABELGRAPH_TOKEN", "XDG_CONFIG_HOME"):
            self.environment.pop(name, None)
        assert "digits" in self.shell(snippet(page, "lg login"), stdin=f"{TOKEN}\n")
        (self.folder / "labels.csv").write_text("path,label\n1/IMG_1271.JPG,one\n")
        shutil.copytree(EXAMPLES / "cells", self.folder / "photos" / "cell")
        (self.folder / "images").mkdir()
        shutil.copy(EXAMPLES / "digits" / "1" / "IMG_1119.JPG", self.folder / "images" / "1.jpg")
        with (self.folder / "images" / "1.jpg").open("ab") as image:
            image.write(b"another content")
        coco = {
            "images": [{"id": 1, "file_name": "1.jpg", "width": 100, "height": 100}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
            "categories": [{"id": 1, "name": "imported"}],
        }
        (self.folder / "instances.json").write_text(json.dumps(coco))
        *lines, watch = self.code(snippet(page, "lg sync")).splitlines()
        self.run_to_its_end("sh", "-euc", "\n".join(lines))
        assert self.labels().items() >= {"one": 1, "imported": 1, "cell": 8}.items()
        with self.start("sh", "-c", f"exec {watch}") as process:
            assert process.stdout
            for number in range(10 * TIMEOUT):  # it sees what happens after it has started
                self.label("1/IMG_1281.JPG", f"watched-{number}")
                if select.select([process.stdout], [], [], 0.1)[0]:
                    break
            event = json.loads(process.stdout.readline() or "{}")
            process.terminate()
        assert event.get("__typename") == "ChangeEvent"

    def label(self, path: str, name: str) -> None:
        select = SampleSelectionInput(paths=[path])
        self.client.label_samples(
            LabelSamplesInput(dataset_id=self.dataset, select=select, labels=[name], create_missing=True)
        )


if __name__ == "__main__":
    unittest.main()
