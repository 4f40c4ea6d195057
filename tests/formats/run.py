"""`./labelgraph test --formats [library …]`: libraries of the field read what our writers wrote,
and our readers what some of them wrote.

They are installed in an environment of their own, `.formats`, from wheels but for one. Where they cannot be installed
nothing was checked, and the status is 3.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from db.formats.datasets.readers import READERS, detect
from db.formats.datasets.reading import ImageRecord, ReadOptions
from db.formats.shapes import Raster, extent
from tests.db.dataset_files import in_folder
from tests.formats import made

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".formats"
REQUIREMENTS = HERE / "requirements.txt"
NOT_RUN = 3
TOLERANCE: Final = 0.01  # pixels
WITHOUT_WHEELS = ("jsonpath-rw",)  # in Python alone, and mlcroissant needs it


def main(libraries: list[str]) -> int:
    python = install()
    if python is None:
        return NOT_RUN
    exports = CACHE / "exports"
    made.write(exports)
    shutil.rmtree(CACHE / "cache", ignore_errors=True)  # of exports of before, under the same names
    environment = {**os.environ, "PYTHONPATH": ""}
    program = [str(python), "-P", str(HERE / "libraries.py"), str(exports), str(CACHE / "cache")]
    status = subprocess.run([*program, *libraries], env=environment, check=False).returncode
    if status or libraries:
        return status
    written = CACHE / "written"
    shutil.rmtree(written, ignore_errors=True)
    subprocess.run([*program, "--write", written], env=environment, check=True, stderr=subprocess.DEVNULL)
    return read(written, exports / "cells" / "expected.json")


def read(written: Path, expected: Path) -> int:
    """What the libraries wrote, with our readers."""
    boxes = json.loads(expected.read_text())
    failed = 0
    for folder in sorted(written.iterdir()):
        files = in_folder(folder)
        name = detect(files.names(), lambda path: files.files[path])  # noqa: B023, it is called at once
        found = [
            each for each in READERS[name](files, ReadOptions("OBJECT_DETECTION")) if isinstance(each, ImageRecord)
        ]
        is_right = name == folder.name.partition(" ")[0] and bool(found) and all(is_as(boxes, each) for each in found)
        print(f"{'ok' if is_right else 'FAILED':6} {folder.name} as a library wrote it: {len(found)} images")
        failed += not is_right
    print(f"{len(list(written.iterdir())) - failed} passed, {failed} failed")
    return 1 if failed else 0


def is_as(boxes: dict[str, Any], record: ImageRecord) -> bool:
    found = record.on(Raster(640, 480), kind="OBJECT_DETECTION").annotations or ()
    said = [(label, tuple(box)) for label, box in boxes[Path(record.path).stem]]
    made = [(each.label, extent(each.shape)) for each in found if each.shape is not None]
    return len(said) == len(made) and all(any(is_near(one, other) for other in said) for one in made)


def is_near(one: tuple[str, Any], other: tuple[str, Any]) -> bool:
    return one[0] == other[0] and all(abs(a - b) < TOLERANCE for a, b in zip(one[1], other[1], strict=True))


def install() -> Path | None:
    """The environment's Python. A stamp, written last, is a copy of the pins; while it equals them nothing is done."""
    environment = CACHE / "environment"
    python, stamp = environment / "bin" / "python", CACHE / "requirements.stamp"
    if stamp.exists() and stamp.read_bytes() == REQUIREMENTS.read_bytes():
        return python
    say(f"installing the libraries in {environment} (once; some hundred MiB)")
    CACHE.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    try:
        subprocess.run([sys.executable, "-I", "-m", "venv", "--clear", "--without-pip", environment], check=True)
        pip = [sys.executable, "-I", "-m", "pip", "--python", str(python), "install", "-q", "--no-input"]
        options = ["--disable-pip-version-check", "--require-hashes", "-r", str(REQUIREMENTS)]
        wheels = ["--only-binary", ":all:", "--no-binary", ",".join(WITHOUT_WHEELS)]
        subprocess.run([*pip, *options, *wheels], env={**os.environ, "PIP_USER": "0"}, check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError):
        say("The libraries cannot be installed here. The formats were not checked.")
        return None
    stamp.write_bytes(REQUIREMENTS.read_bytes())
    return python


def say(text: str) -> None:
    print(f"labelgraph: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
