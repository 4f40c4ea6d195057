"""The `.txt` next to an image that names its labels, one on a line."""

import re
from typing import Final

from db.formats.annotations import ParsedAnnotation
from db.formats.names import LabelNameRefused, LabelNameRule, label_name
from db.formats.sidecars.content import Problem, Sidecar, decoded, useless

MAX_BYTES: Final = 64 * 1024
MAX_LABELS: Final = 1_000  # lines that name a label
BLANKS: Final = " \t\r\f\v\u00a0\u3000\ufeff"  # what an editor leaves at the ends of a line
# A class's number and the coordinates of a box or a polygon, as object detectors of the YOLO family are trained with.
YOLO_LINE: Final = re.compile(r"[0-9]{1,6}([ \t]+[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]{1,3})?){4,}")
YOLO: Final = "It looks like a YOLO label file: numbers of classes and coordinates, no names. It was not read."


def parse(data: bytes, rule: LabelNameRule | None = "STANDARD") -> Sidecar:
    """Read a label file. An empty one says "no labels"; one with nothing but mistakes says nothing. Without a rule the
    names of labels are returned as they are."""
    if len(data) > MAX_BYTES:
        return useless(f"A label file has at most {MAX_BYTES // 1024} KiB; it was not read.")
    guesses: list[Problem] = []
    text = decoded(data, guesses=guesses)
    if text is None:
        return useless("The text is neither UTF-8 nor GB18030; it was not read.")
    lines = [line.strip(BLANKS) for line in text.split("\n")]
    if any(lines) and all(YOLO_LINE.fullmatch(line) for line in lines if line):
        return useless(YOLO)
    annotations: dict[str, ParsedAnnotation] = {}
    problems: list[Problem] = []
    for number, name in enumerate(lines, start=1):
        if not name:
            continue
        if len(annotations) + len(problems) >= MAX_LABELS:
            problems.append(Problem(number, f"A label file has at most {MAX_LABELS} labels; the rest was not read."))
            break
        try:
            label = name if rule is None else label_name(name, rule)
            annotations.setdefault(label, ParsedAnnotation(label, line=number))
        except LabelNameRefused as refused:
            problems.append(Problem(number, refused.message, refused.name))
    found = tuple(annotations.values()) if annotations or not problems else None
    return Sidecar(found, (*guesses, *problems))
