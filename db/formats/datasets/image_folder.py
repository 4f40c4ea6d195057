"""ImageFolder: a folder for each label, as torchvision, Keras and Hugging Face read it; for a split dataset, below a
folder for each split. Where nothing is split and a label is called like a usage, `UNSPLIT.md` tells our reader that its
folder is a label's; other readers look for images in folders only.

An image has one place. With several labels it is left out by default; the option `several_labels` puts it into the
folder of the label that it got first, or a copy into each.
"""

from collections.abc import Sequence
from typing import Final

from db.formats.datasets import names, usages
from db.formats.datasets.format import WITHOUT_LABEL, File, Format, Loss
from db.formats.datasets.records import AnnotatedImage, DatasetFacts

UNSPLIT_FILE: Final = "UNSPLIT.md"
UNSPLIT_TEXT: Final = "Nothing is split: the folder right around an image is its label, and no folder says a usage.\n"
SEVERAL_OMITTED = Loss("SEVERAL_LABELS", "Images with several labels are left out; see the option `severalLabels`.")
SEVERAL_FIRST = Loss("SEVERAL_LABELS", "Images with several labels are only in the folder of their first label.")
SEVERAL_COPIED = Loss("SEVERAL_LABELS", "Images with several labels are in the folder of each.")
RENAMED = Loss(
    "LABEL_RENAMED",
    "Labels are folders of other names, with `~` and a number: no folder can have theirs, or another label has it in "
    "another case.",
)


class ImageFolder(Format):
    types = frozenset({"IMAGE_CLASSIFICATION"})
    images = ("INCLUDED",)
    options = frozenset({"has_splits", "several_labels"})
    has_splits = True

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.folders = names.folder_names(facts.labels)
        self.rule = facts.options.several_labels or "OMIT"

    def includes(self, image: AnnotatedImage) -> bool:
        labels = image.confirmed
        if not labels:
            self.losses.add(WITHOUT_LABEL, image)
        elif len(labels) > 1:
            losses = {"OMIT": SEVERAL_OMITTED, "FIRST": SEVERAL_FIRST, "COPY": SEVERAL_COPIED}
            self.losses.add(losses[self.rule], image)
        if not labels or (len(labels) > 1 and self.rule == "OMIT"):
            return False
        written = labels if self.rule == "COPY" else labels[:1]
        self.losses.add(RENAMED, image, sum(self.folders[each.label] != each.label for each in written))
        return True

    def image_path(self, image: AnnotatedImage) -> str:
        return self._path(image, image.confirmed[0].label)

    def copies(self, image: AnnotatedImage) -> Sequence[str]:
        others = image.confirmed[1:] if self.rule == "COPY" else ()
        return [self._path(image, each.label) for each in others]

    def static_files(self) -> Sequence[File]:
        return [File(UNSPLIT_FILE, UNSPLIT_TEXT.encode())] if self.is_like_split() else []

    def is_like_split(self) -> bool:
        """Whether a folder is called like a split and is none."""
        return not self.facts.is_split and any(map(usages.of_name, self.folders.values()))

    def split_of(self, image: AnnotatedImage) -> str | None:
        return image.split if self.facts.is_split else None

    def _path(self, image: AnnotatedImage, label: str) -> str:
        return "/".join(filter(None, (self.split_of(image), self.folders[label], image.file_name)))
