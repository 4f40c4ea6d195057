"""Folders of images, one for each label: `cat/1.jpg`; and `train/cat/1.jpg`, where the images are split. A label may be
called `train`, too, where nothing is split."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets.readers import values
from db.formats.datasets.readers.pairs import is_image
from db.formats.datasets.reading import Files, ImageRecord, Problem, ReadOptions

NO_FOLDER = "The image is in no folder of a label."


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    base = _base(name.split("/")[:-1] for name in files.names() if is_image(name))
    is_split = _is_split(name.split("/")[base:-1] for name in files.names() if is_image(name))
    for name in files.names():
        if not is_image(name):
            continue
        folders = name.split("/")[base:-1]
        usage = next((use for each in reversed(name.split("/")[:base]) if (use := values.usage(each))), None)
        if is_split and folders and values.usage(folders[0]) is not None:
            usage, folders = values.usage(folders[0]), folders[1:]
        if not folders:
            yield ImageRecord(name, name, None, usage=usage, problems=(Problem(name, NO_FOLDER),))
            continue
        try:
            label = values.text(folders[0], "label")
        except Invalid as refused:
            yield ImageRecord(name, name, None, usage=usage, problems=(Problem(name, refused.message),))
        else:
            yield ImageRecord(name, name, (ParsedAnnotation(label),), usage=usage)


def _is_split(paths: Iterator[Sequence[str]]) -> bool:
    """Whether folders that are called like a usage are one: not if images lie right in them beside those of labels."""
    has_label = False
    for folders in paths:
        if len(folders) > 1:
            return True
        has_label = has_label or (len(folders) == 1 and values.usage(folders[0]) is None)
    return not has_label


def _base(paths: Iterator[Sequence[str]]) -> int:
    """How many folders are around all images; not the last of them, if images lie in it, as then it is a label's.
    Raises Invalid."""
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
    return max(len(common) - 1, 0) if has_direct and (not common or values.usage(common[-1]) is None) else len(common)
