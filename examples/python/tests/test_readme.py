"""The programs of README.md run as they are."""

import contextlib
import io
import json
import os
import re
import shutil
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from labelgraph_client import CreateDatasetInput

from tests.server import CELLS, DIGITS, EACH, IMAGES, ROOT, TOKEN, URL, connect

COCO = {
    "images": [{"id": 1, "file_name": "1.jpg", "width": 640, "height": 480}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [240, 180, 160, 120]}],
    "categories": [{"id": 1, "name": "cell"}],
}
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "examples" / "python" / "README.md").read_text(), re.DOTALL)


class Readme(unittest.TestCase):
    def test_each_program_runs(self) -> None:
        shutil.copytree(DIGITS, IMAGES / "python-readme")
        with connect() as client:
            created = client.create_dataset(CreateDatasetInput(name="digits", input_path=str(IMAGES / "python-readme")))
            assert created.job
            client.wait(created.job)
        assert len(PROGRAMS) == 5
        printed = io.StringIO()
        images = IMAGES / "python-coco"
        images.mkdir()
        shutil.copy(next(CELLS.glob("*.jpg")), images / "1.jpg")
        environment = patch.dict(os.environ, {"LABELGRAPH_URL": URL, "LABELGRAPH_TOKEN": TOKEN})
        with TemporaryDirectory() as folder, contextlib.chdir(folder), environment:
            Path("labels.csv").write_text("path,label\n7/IMG_1277.JPG,digit-7\nnone.jpg,digit-7\n")
            Path("instances.json").write_text(json.dumps(COCO))
            for program in PROGRAMS:
                with contextlib.redirect_stdout(printed):
                    exec(compile(program.replace("/data/images", str(images)), "README.md", "exec"), {})  # noqa: S102
            assert Path("yolo/labels/train/1.txt").read_text() == "0 0.5 0.5 0.25 0.25\n"
            assert len(list(Path("folders").rglob("digit-7/*.JPG"))) == EACH
        assert "2 labelled: " in printed.getvalue(), printed.getvalue()
        assert printed.getvalue().count("['digit-7']") == EACH, printed.getvalue()
        assert "IMAGE_MISSING 1 labels.csv:3" in printed.getvalue(), printed.getvalue()


if __name__ == "__main__":
    unittest.main()
