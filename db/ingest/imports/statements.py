"""The statements of `merging.sql`, by their names."""

import re
from pathlib import Path
from typing import Final

_TEXT: Final = (Path(__file__).parent / "merging.sql").read_text()


class SQL:
    """One attribute per `-- name:` of the file; mypy knows them, and a missing one fails at import."""

    place: str
    drop_doubles: str
    items: str
    others: str
    leaving: str
    facts: str
    lock_samples: str
    known: str
    annotations: str
    labels: str
    make_labels: str
    let_go: str
    make_sources: str
    make_samples: str
    annotate: str
    unannotate: str
    update: str


for _name in SQL.__annotations__:
    _found = re.search(rf"^-- name: {_name}\n(.*?)(?=^-- name: |\Z)", _TEXT, re.MULTILINE | re.DOTALL)
    if _found is None:
        raise LookupError(f"merging.sql has no statement named {_name}")
    setattr(SQL, _name, _found[1].strip())
