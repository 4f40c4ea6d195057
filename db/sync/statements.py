"""The statements of `merging.sql`, by their names."""

import re
from pathlib import Path
from typing import Final

_TEXT: Final = (Path(__file__).parent / "merging.sql").read_text()


class SQL:
    """One attribute per `-- name:` of the file; mypy knows them, and a missing one fails at import."""

    lock_samples: str
    known: str
    marks: str
    labels: str
    make_labels: str
    vanished: str
    leaving: str
    let_go: str
    make_sources: str
    replace: str
    move: str
    move_sources: str
    paths: str
    make_samples: str
    unmark: str
    mark: str
    restate: str
    sidecars: str
    settle: str
    items: str
    lock_vanished: str
    remove_annotations: str
    remove_samples: str
    let_go_vanished: str


for _name in SQL.__annotations__:
    _found = re.search(rf"^-- name: {_name}\n(.*?)(?=^-- name: |\Z)", _TEXT, re.MULTILINE | re.DOTALL)
    if _found is None:
        raise LookupError(f"merging.sql has no statement named {_name}")
    setattr(SQL, _name, _found[1].strip())
