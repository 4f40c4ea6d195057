"""What is committed is what `generate.py` makes of the schema of this checkout."""

import filecmp
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE))


class Generated(unittest.TestCase):
    def test_a_new_generation_makes_the_same(self) -> None:
        import generate

        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / generate.PACKAGE
            shutil.copytree(HERE / generate.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
            generate.main(folder=Path(folder))
            names = [str(path.relative_to(package)) for path in package.rglob("*.py")]
            committed = list((HERE / generate.PACKAGE).rglob("*.py"))
            assert len(names) == len(committed)
            _, different, missing = filecmp.cmpfiles(HERE / generate.PACKAGE, package, names, shallow=False)
        assert different + missing == [], "Run `python generate.py` and commit what it changes."


if __name__ == "__main__":
    unittest.main()
