"""The scripts of the manual of exports, as their readers run them."""

import asyncio
import json
import re
import sys
from pathlib import Path

from api.settings import Settings
from db.postgres.engine import Database
from tests.api.test_exports import created
from tests.client import Client, serving, token
from tests.conftest import ROOT
from tests.db.dataset_fixture import image_bytes
from tests.waiting import TIMEOUT

CODE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "exports.md").read_text(), re.DOTALL)
SCRIPTS = {code.split()[1]: code for code in CODE}


async def run(name: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", SCRIPTS[name], *arguments)
    assert await asyncio.wait_for(process.wait(), TIMEOUT) == 0


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_an_image_folder_is_unpacked(settings: Settings, database: Database, tmp_path: Path) -> None:
    async with serving(settings) as url:
        secret = await token(database)
        dataset = await created(Client(url, secret, TIMEOUT), tmp_path)
        await run("image_folder_out.py", url, secret, dataset, str(tmp_path / "pets"))
    assert files(tmp_path / "pets") == ["cat/a.png", "cat/b.png", "cat/c.png", "cat/d.png"]


async def test_coco_becomes_yolo(settings: Settings, database: Database, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("1.png", "2.png"):
        (tmp_path / "images" / name).write_bytes(image_bytes(size=(40, 20)))
    coco = {
        "images": [{"id": 7, "file_name": "1.png", "width": 40, "height": 20}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10]}],
        "categories": [{"id": 3, "name": "cat"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(coco))
    async with serving(settings) as url:
        paths = (str(tmp_path / name) for name in ("images", "instances.json", "yolo"))
        await run("coco_to_yolo.py", url, await token(database), *paths)
    assert files(tmp_path / "yolo") == ["data.yaml", "images/train/1.png", "labels/train/1.txt"]
    assert (tmp_path / "yolo" / "labels" / "train" / "1.txt").read_text() == "0 0.5 0.5 0.5 0.5\n"
