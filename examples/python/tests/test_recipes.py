"""What `docs/recipes.md` says of this client, for pandas, DVC and Airflow, as its readers run it."""

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from labelgraph_client import LabelSamplesInput, PublishVersionInput, SampleSelectionInput, cli

from tests.server import COUNT, LABELED_COUNT, ROOT, TOKEN, URL, connect, make_dataset

RECIPES = (ROOT / "docs" / "recipes.md").read_text()
PROGRAMS: list[str] = re.findall(r"```python\n(.*?)```", RECIPES, re.DOTALL)


def program(name: str) -> str:
    return next(text for text in PROGRAMS if text.startswith(f'"""{name} '))


def run(name: str, *arguments: str) -> str:
    printed = io.StringIO()
    with patch.object(sys, "argv", [name, *arguments]), contextlib.redirect_stdout(printed):
        exec(compile(program(name), name, "exec"), {})  # noqa: S102
    return printed.getvalue()


class Done:
    """What Airflow has in place of a task's value. Here tasks are run at once, in the order of the DAG's function."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __rshift__(self, other: "Done") -> None:
        pass


def airflow(values: dict[str, str], done: list[Any]) -> ModuleType:
    """As much of `airflow.sdk` as the recipe uses. The DAG gets `values`."""

    def task(function: Callable[..., Any]) -> Callable[..., Done]:
        def run(*given: Any) -> Done:
            done.append(function(*(each.value if isinstance(each, Done) else each for each in given)))
            return Done(done[-1])

        return run

    def dag(**_: Any) -> Callable[[Callable[..., Any]], Callable[[], Any]]:
        return lambda function: lambda: function(**values)

    module = ModuleType("airflow.sdk")
    vars(module).update(task=task, dag=dag)
    return module


class Recipes(unittest.TestCase):
    def setUp(self) -> None:
        self.enterContext(patch.dict(os.environ, {"LABELGRAPH_URL": URL, "LABELGRAPH_TOKEN": TOKEN}))
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.client = self.enterContext(connect())
        self.dataset = make_dataset()

    def test_pandas(self) -> None:
        printed = run("frames.py", self.dataset.name)
        assert re.search(rf"LABELED +{LABELED_COUNT}\nUNLABELED +{COUNT - LABELED_COUNT}", printed), printed
        assert re.search(rf"digit-0 +{LABELED_COUNT // 10}\n", printed), printed

    def test_dvc(self) -> None:
        version = self.client.publish_version(PublishVersionInput(dataset_id=self.dataset.id)).version.name
        command = re.search(r"^    cmd: (.*)$", RECIPES, re.MULTILINE)
        assert command
        contents = []
        for folder in (self.folder / "first" / "digits", self.folder / "second" / "digits"):
            values = {"${version}": version, "digits": self.dataset.name, "data/digits": str(folder)}
            [lg, *arguments] = [values.get(word, word) for word in shlex.split(command[1])]
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                assert (lg, cli.main(arguments)) == ("lg", 0)
            contents.append({path.name: path.read_bytes() for path in folder.rglob("*.*")})
        assert contents[0]
        assert contents[0] == contents[1]

    def test_airflow(self) -> None:
        done: list[Any] = []
        values = {"dataset": self.dataset.name, "folder": str(self.folder)}
        with patch.dict(sys.modules, {"airflow": ModuleType("airflow"), "airflow.sdk": airflow(values, done)}):
            run("labelgraph_nightly.py")
            run("labelgraph_nightly.py")
            select = SampleSelectionInput(paths=["7/IMG_1277.JPG"])
            self.client.label_samples(LabelSamplesInput(dataset_id=self.dataset.id, select=select, labels=["digit-7"]))
            run("labelgraph_nightly.py")
        assert [done[1], done[4], done[7]] == ["V001", "V001", "V002"], done
        for version, files in (("V001", done[2]), ("V002", done[8])):
            assert files
            assert all(Path(file).is_relative_to(self.folder / version) and Path(file).stat().st_size for file in files)


if __name__ == "__main__":
    unittest.main()
