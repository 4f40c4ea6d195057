"""The programs of README.md run as they are."""

import contextlib
import io
import os
import re
import shutil
import unittest
from unittest.mock import patch

from labelgraph_client import CreateDatasetInput

from tests.server import DIGITS, EACH, IMAGES, ROOT, TOKEN, URL, connect

PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "examples" / "python" / "README.md").read_text(), re.DOTALL)


class Readme(unittest.TestCase):
    def test_each_program_runs(self) -> None:
        shutil.copytree(DIGITS, IMAGES / "python-readme")
        with connect() as client:
            created = client.create_dataset(CreateDatasetInput(name="digits", input_path=str(IMAGES / "python-readme")))
            assert created.job
            client.wait(created.job)
        assert len(PROGRAMS) == 2
        printed = io.StringIO()
        with patch.dict(os.environ, {"LABELGRAPH_URL": URL, "LABELGRAPH_TOKEN": TOKEN}):
            for program in PROGRAMS:
                with contextlib.redirect_stdout(printed):
                    exec(compile(program, "README.md", "exec"), {})  # noqa: S102
        assert "2 labelled: " in printed.getvalue(), printed.getvalue()
        assert printed.getvalue().count("['digit-7']") == EACH, printed.getvalue()


if __name__ == "__main__":
    unittest.main()
