"""Image and text: `a.jpg` with its labels in `a.txt`, one on a line, as ModelArts and a sync read them.

A file without a line says that there is no label, which nobody has said of an unlabelled image: it has none.
"""

from collections.abc import Sequence

from db.formats.datasets import usages
from db.formats.datasets.format import File, Format
from db.formats.datasets.records import AnnotatedImage
from db.formats.paths import stem


class ImageText(Format):
    types = frozenset({"IMAGE_CLASSIFICATION"})
    images = ("INCLUDED", "NONE")

    def usage_said(self, image: AnnotatedImage) -> str | None:
        """The reader goes by the folders."""
        return usages.in_path(image.file_path.rpartition("/")[0])

    def image_path(self, image: AnnotatedImage) -> str:
        return image.file_path

    def files(self, image: AnnotatedImage) -> Sequence[File]:
        lines = [f"{annotation.label}\n" for annotation in image.confirmed]
        return [File(f"{stem(image.file_path)}.txt", "".join(lines).encode())] if lines else []
