"""The statements of `pairing.sql`, `moves.sql` and `merging.sql`, by their names."""

import re
from pathlib import Path
from typing import Final

_FILES: Final = ("pairing.sql", "moves.sql", "merging.sql")
_TEXT: Final = "\n".join((Path(__file__).parent / name).read_text() for name in _FILES)


class SQL:
    """One attribute per `-- name:` of the files; mypy knows them, and a missing one fails at import."""

    keep: str
    pair: str
    ignored: str
    forget: str
    write: str
    movable: str
    departed: str
    to_inspect: str
    inspected: str
    origin_table: str
    target_table: str
    find_origins: str
    find_targets: str
    match: str
    find_copies: str
    any_unsure: str
    hold_back: str
    held_back: str
    forget_held: str
    spare: str
    losses: str
    effects: str
    copies: str
    unannotate_replaced: str
    remove_replaced: str
    vacate_sources: str
    let_go_rewritten: str
    move_sources: str
    make_rewritten: str
    vacate_samples: str
    move_samples: str
    see_sidecars: str
    finish_moved: str
    finish_vanished: str
    finish_replaced: str
    lock_samples: str
    known: str
    marks: str
    labels: str
    make_labels: str
    leaving: str
    let_go: str
    make_sources: str
    replace: str
    touch_sources: str
    paths: str
    make_samples: str
    unmark: str
    mark: str
    restate: str
    shapes_outside: str
    sidecars: str
    items: str
    lock_vanished: str
    remove_annotations: str
    remove_samples: str
    let_go_vanished: str


for _name in SQL.__annotations__:
    _found = re.search(rf"^-- name: {_name}\n(.*?)(?=^-- name: |\Z)", _TEXT, re.MULTILINE | re.DOTALL)
    if _found is None:
        raise LookupError(f"there is no statement named {_name}")
    setattr(SQL, _name, _found[1].strip())
