"""The `.txt` beside an image that names its labels, one on a line."""

from typing import Final

from db.errors import Invalid
from db.names import label_name
from db.sidecars.content import Mark, Problem, Sidecar, decoded, useless

MAX_BYTES: Final = 64 * 1024
MAX_LABELS: Final = 1_000  # lines that name a label
BLANKS: Final = " \t\r\f\v\u00a0\u3000\ufeff"  # what an editor leaves at the ends of a line


def parse(data: bytes) -> Sidecar:
    """Read a label file. An empty one says "no labels"; one with nothing but mistakes says nothing."""
    if len(data) > MAX_BYTES:
        return useless(f"A label file has at most {MAX_BYTES // 1024} KiB; it was not read.")
    text = decoded(data)
    if text is None:
        return useless("The text is neither UTF-8 nor GB18030; it was not read.")
    marks: dict[str, Mark] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        name = line.strip(BLANKS)
        if not name:
            continue
        if len(marks) + len(problems) >= MAX_LABELS:
            problems.append(Problem(number, f"A label file has at most {MAX_LABELS} labels; the rest was not read."))
            break
        try:
            label = label_name(name)
            marks.setdefault(label, Mark(label, line=number))
        except Invalid as refused:
            problems.append(Problem(number, refused.message))
    return Sidecar(tuple(marks.values()) if marks or not problems else None, tuple(problems))
