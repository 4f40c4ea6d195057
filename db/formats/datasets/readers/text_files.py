"""An image, and next to it a `.txt` that names its labels, one on a line."""

from collections.abc import Iterator

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets import usages
from db.formats.datasets.readers import values
from db.formats.datasets.readers.pairs import Pair, image_of, is_image, pairing, with_contents
from db.formats.datasets.reading import Files, ImageRecord, Problem, ReadOptions
from db.formats.sidecars import text


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    with pairing() as pairs:
        has_text = False
        for name in files.names():
            if name.lower().endswith(".txt"):
                pairs.add_label(name)
                has_text = True
        if not has_text:
            raise Invalid("There is no file of text.")
        images = (name for name in files.names() if is_image(name))
        for pair in with_contents(files, pairs.pairs(images), text.MAX_BYTES + 1):
            yield _record(pair)


def _record(pair: Pair) -> ImageRecord:
    path = pair.image or image_of(pair.label or "", "images")
    usage = usages.in_path(path.rpartition("/")[0])
    if pair.label is None or pair.data is None:
        return ImageRecord(path, path, usage=usage)
    annotations, problems = labels(pair.label, pair.data)
    return ImageRecord(
        path,
        pair.label,
        annotations,
        usage=usage,
        problems=problems,
        has_suffix=pair.image is not None,
        within=f"{pair.label}:",
    )


def labels(name: str, data: bytes) -> tuple[tuple[ParsedAnnotation, ...] | None, tuple[Problem, ...]]:
    """What a file names, and what is wrong with it."""
    found = text.parse(data, None)
    annotations, problems = list[ParsedAnnotation](), list[Problem]()
    for each in found.annotations or ():
        try:
            values.text(each.label, "label")
            annotations.append(each)
        except Invalid as refused:
            problems.append(Problem(f"{name}:{each.line}", refused.message))
    for wrong in found.reported:
        problems.append(Problem(f"{name}:{wrong.line}" if wrong.line else name, wrong.message))
    return None if found.annotations is None or (problems and not annotations) else tuple(annotations), tuple(problems)
