"""The scripts of `docs/recipes.md`, as their readers run them: in the order of the page, on one dataset."""

import asyncio
import csv
import os
import sys
from pathlib import Path

from api.settings import Settings
from db.postgres.engine import Database
from tests.api.test_exports import CREATE, ended
from tests.client import Client, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.snippets import snippets
from tests.waiting import TIMEOUT

SCRIPTS = {code.split('"""')[1].split()[0]: code for code in snippets("docs/recipes.md", "python")}


class Reader:
    """Somebody who has put the scripts into a folder."""

    def __init__(self, folder: Path, url: str, secret: str) -> None:
        self.folder, self.environment = folder, {**os.environ, "LABELGRAPH_URL": url, "LABELGRAPH_TOKEN": secret}
        for name, code in SCRIPTS.items():
            (folder / name).write_text(code)

    async def start(self, name: str, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", name, *arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, name: str, *arguments: str, status: int = 0) -> tuple[list[str], str]:
        """The lines that it prints, and what it says of errors."""
        process = await self.start(name, *arguments)
        printed, errors = await asyncio.wait_for(process.communicate(), TIMEOUT)
        assert process.returncode == status, errors.decode()
        return printed.decode().splitlines(), errors.decode()


async def test_the_recipes_do_what_they_say(settings: Settings, database: Database, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a", "b", "c"):
        (images / f"{name}.png").write_bytes(image_bytes(size=(40, 20)))
    (images / "a.txt").write_text("cat\n")
    async with serving(settings) as url:
        secret = await token(database, name="ann")
        client = Client(url, secret, TIMEOUT)
        values = {"name": "pets", "inputPath": str(images)}
        made = (await client.execute(CREATE, {"input": values}))["createDataset"]
        assert (await ended(client, made["job"]["id"]))["status"] == "SUCCEEDED"
        reader = Reader(tmp_path, url, secret)

        table, _ = await reader.run("table.py", "pets")
        rows = [(row["path"], row["state"], row["labels"], row["width"]) for row in csv.DictReader(table)]
        assert rows == [
            ("a.png", "LABELED", "cat", "40"),
            ("b.png", "UNLABELED", "", "40"),
            ("c.png", "UNLABELED", "", "40"),
        ]
        assert len((await reader.run("table.py", "pets", '{"state": "LABELED"}'))[0]) == 1 + 1
        assert "There is no dataset dogs." in (await reader.run("table.py", "dogs", status=1))[1]

        (tmp_path / "cursor").write_text(await cursor(client))
        following = await reader.start("follow.py", "pets")
        (tmp_path / "table.csv").write_text("path,label\nb.png,dog\nnone.png,dog\nc.png,cat\n")
        assert await reader.run("label.py", "pets", "table.csv") == (
            ["dog: 1 changed", "cat: 1 changed"],
            "no such sample: none.png\n",
        )
        assert following.stdout is not None
        seen = [(await asyncio.wait_for(following.stdout.readline(), TIMEOUT)).decode() for _ in range(2)]
        assert [line.split()[1] for line in seen] == ["ann:", "ann:"]
        following.kill()
        await following.communicate()

        assert (await reader.run("nightly.py", "pets"))[0] == ["V001: 3 labelled samples"]
        assert (await reader.run("nightly.py", "pets"))[0] == []
        said = "3 images of 2 classes; the first is (40, 20)"
        assert (await reader.run("training.py", "pets", "V001"))[0] == [said]


async def cursor(client: Client) -> str:
    found = await client.execute('{ dataset(by: {name: "pets"}) { eventCursor } }')
    return str(found["dataset"]["eventCursor"])
