"""Which sidecar belongs to which image, by their paths alone. Names are compared in NFC.

In order of precedence, for the image `train/images/a.jpg` and the suffix `.txt`:

    train/images/a.txt       next to it
    train/images/a.jpg.txt   next to it, with the image's suffix
    train/labels/a.txt       in a directory for labels, next to the directory for images

Two images of one name without suffix share their sidecar.
"""

from collections.abc import Collection, Iterator
from typing import Final
from unicodedata import normalize

from db.formats.paths import stem

IMAGE_DIRECTORIES: Final = ("images", "Images", "JPEGImages", "img", "imgs")
LABEL_DIRECTORIES: Final = ("labels", "Labels", "annotations", "Annotations")
EITHER: Final = "\x01"  # replaces the name of a directory for images or labels
OTHERWISE: Final = "\x02"  # follows a name in NFC where it is written otherwise, which then follows


def image_keys(path: str) -> list[str]:
    """What an image has in common with its sidecars, the nearest one's first."""
    front = stem(path)
    return _with_forms([front, path, *_replaced(front, IMAGE_DIRECTORIES, [EITHER])])


def sidecar_keys(path: str) -> list[str]:
    """What a sidecar has in common with its images."""
    front = stem(path)
    return _with_forms([front, *_replaced(front, LABEL_DIRECTORIES, [EITHER])])


def _with_forms(keys: list[str]) -> list[str]:
    """Equal where names are written alike; equal up to `OTHERWISE` where they are the same in NFC."""
    forms = ((normalize("NFC", key), key) for key in keys)
    return [key if key == form else f"{form}{OTHERWISE}{key}" for form, key in forms]


def sidecar_stems(path: str) -> dict[str, set[str]]:
    """Where sidecars of an image may lie, without their suffixes; and without theirs, the images that each would serve
    as well."""
    front = stem(path)
    images = set(_replaced(front, IMAGE_DIRECTORIES, IMAGE_DIRECTORIES))
    stems = {front: {front}, path: {path}}
    stems |= {each: {*images, each} for each in _replaced(front, IMAGE_DIRECTORIES, LABEL_DIRECTORIES)}
    return {
        form: {form for image in served for form in _forms(image)}
        for each, served in stems.items()
        for form in _forms(each)
    }


def _forms(path: str) -> set[str]:
    return {path, normalize("NFC", path), normalize("NFD", path)}


def _replaced(path: str, names: Collection[str], by: Collection[str]) -> Iterator[str]:
    """The path with the last directory of these names called otherwise; nothing if there is none."""
    *directories, name = path.split("/")
    index = next((n for n in reversed(range(len(directories))) if directories[n] in names), None)
    if index is not None:
        for other in by:
            yield "/".join([*directories[:index], other, *directories[index + 1 :], name])
