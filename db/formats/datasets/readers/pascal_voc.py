"""PASCAL VOC: a file for each image in `Annotations/`, images in `JPEGImages/`, and in `ImageSets/` lists of images."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets import usages
from db.formats.datasets.readers import values
from db.formats.datasets.readers.lines import text_lines
from db.formats.datasets.readers.pairs import Pair, Pairing, image_of, is_image, pairing, with_contents
from db.formats.datasets.reading import Files, ImageRecord, Problem, ReadOptions, opened
from db.formats.sidecars import voc

SETS: Final = "ImageSets"


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    with pairing() as pairs:
        is_voc = False
        for name in files.names():
            if name.lower().endswith(".xml"):
                pairs.add_label(name)
                is_voc = True
        if not is_voc:
            raise Invalid("There is no file of XML.")
        _list_usages(files, pairs)
        images = (name for name in files.names() if is_image(name))
        for pair in with_contents(files, pairs.pairs(images), voc.MAX_BYTES + 1):
            yield _record(pair, pairs, options)


def _list_usages(files: Files, pairs: Pairing) -> None:
    """`train.txt`, `val.txt` and `test.txt`; `trainval.txt` where these do not name an image."""
    names = [name for name in files.names() if name.endswith(".txt") and SETS in name.split("/")]
    for name in sorted(names, key=lambda name: not name.endswith("/trainval.txt")):
        usage = usages.of_name(name.rpartition("/")[2].removesuffix(".txt"))
        if usage is not None:
            with opened(files, name) as file:
                for line in text_lines(file):
                    with suppress(Invalid):
                        pairs.add_usage(values.text(line, name), usage)


def _record(pair: Pair, pairs: Pairing, options: ReadOptions) -> ImageRecord:
    path = pair.image or image_of(pair.label or "", "JPEGImages")
    usage = pairs.usage(path)
    if pair.label is None or pair.data is None:
        return ImageRecord(path, path, usage=usage)
    found = voc.parse(pair.data, None)
    annotations, problems = list[ParsedAnnotation](), list[Problem]()
    for each in found.annotations or ():
        try:
            annotations.append(replace(each, label=values.text(each.label, "name")))
        except Invalid as refused:
            problems.append(Problem(f"{pair.label}:{each.line}", refused.message))
    if options.kind == "IMAGE_CLASSIFICATION":
        labels = {each.label: ParsedAnnotation(each.label, line=each.line) for each in reversed(annotations)}
        annotations = list(reversed(labels.values()))
    for wrong in found.reported:
        problems.append(Problem(f"{pair.label}:{wrong.line}" if wrong.line else pair.label, wrong.message))
    return ImageRecord(
        path,
        pair.label,
        None if found.annotations is None or (found.annotations and not annotations) else tuple(annotations),
        found.size,
        usage,
        True if found.hard else None,  # an image may be hard without a difficult object
        tuple(problems),
        has_suffix=pair.image is not None,
        within=f"{pair.label}:",
    )
