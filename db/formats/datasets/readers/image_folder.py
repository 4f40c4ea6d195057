"""Folders of images, one for each label: `cat/1.jpg`; and `train/cat/1.jpg`, where the images are split. A label may be
called `train`, too, where nothing is split, or below a split. Where one of our exports says that nothing is split
(`UNSPLIT.md`), the folder right around an image is its label's."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice, takewhile
from typing import Final

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets import usages
from db.formats.datasets.image_folder import UNSPLIT_FILE
from db.formats.datasets.readers import values
from db.formats.datasets.readers.pairs import is_image
from db.formats.datasets.reading import Files, ImageRecord, Problem, ReadOptions, Usage

NO_FOLDER = "The image is in no folder of a label."
MAX_EXPORTS: Final = 1_000  # in one import; memory stays flat


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    base = _base(name.split("/")[:-1] for name in files.names() if is_image(name))
    notes = (name.rpartition("/")[0] for name in files.names() if name.rpartition("/")[2] == UNSPLIT_FILE)
    unsplit = frozenset(islice(notes, MAX_EXPORTS))
    is_split = _is_split((name.split("/")[:-1] for name in files.names() if is_image(name)), base)
    for name in files.names():
        if not is_image(name):
            continue
        usage, folders = _usage(name.split("/")[:base]), name.split("/")[base:-1]
        if (below := _below(name, unsplit)) is not None:
            usage, folders = None, below[-1:]
        elif is_split and folders and usages.of_name(folders[0]) is not None:
            usage, folders = usages.of_name(folders[0]), folders[1:]
        if not folders:
            yield ImageRecord(name, name, None, usage=usage, problems=(Problem(name, NO_FOLDER),))
            continue
        try:
            label = values.text(folders[0], "label")
        except Invalid as refused:
            yield ImageRecord(name, name, None, usage=usage, problems=(Problem(name, refused.message),))
        else:
            yield ImageRecord(name, name, (ParsedAnnotation(label),), usage=usage)


def _usage(folders: Sequence[str]) -> Usage | None:
    """Of the last of these folders that says one."""
    return next((usage for each in reversed(folders) if (usage := usages.of_name(each))), None)


def _below(name: str, roots: Collection[str]) -> list[str] | None:
    """The folders of a file below the first of these roots that it is in; None: it is in none."""
    folders = name.split("/")[:-1]
    depths = range(len(folders) + 1) if roots else ()
    return next((folders[depth:] for depth in depths if "/".join(folders[:depth]) in roots), None)


def _is_split(paths: Iterator[Sequence[str]], base: int) -> bool:
    """Whether folders with the name of a usage mean it: not if images lie directly in them next to folders of labels,
    or if they are below a folder that says a usage."""
    has_label = False
    for folders in paths:
        around, below = folders[:base], folders[base:]
        if len(below) > 1:
            return True
        if below and (usages.of_name(below[0]) is None or _usage(around) is not None):
            has_label = True
    return not has_label


def _base(paths: Iterator[Sequence[str]]) -> int:
    """How many folders are around all images; not the last of them, if images lie in it, as then it is a label's,
    unless it alone says a usage. Raises Invalid."""
    common: Sequence[str] | None = None
    has_direct = False
    for folders in paths:
        if common is None:
            common, has_direct = folders, True
            continue
        shared = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(common, folders, strict=False))]
        has_direct = len(shared) == len(folders) or (has_direct and len(shared) == len(common))
        common = shared
    if common is None:
        raise Invalid("There is no image.")
    *around, last = common or [""]
    is_label = has_direct and bool(common) and (usages.of_name(last) is None or _usage(around) is not None)
    return len(common) - is_label
