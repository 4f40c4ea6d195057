"""WebDataset: tar files in which an image and what is said of it follow one another, as `000000001.jpg`, `.json` and,
for a classification, `.cls` with the number of the first label. Pixels are those of the upright image.

Keys are numbers, since a dot in a name would end the key. The JSON has the image's path, and all its annotations,
suggestions included.
"""

from collections.abc import Sequence

import orjson

from db.formats.annotations import FACTS
from db.formats.datasets.format import File, Format, Series
from db.formats.datasets.json_lines import annotation_json
from db.formats.datasets.records import SPLITS, AnnotatedImage
from db.formats.paths import suffix


class WebDataset(Format):
    images = ("INCLUDED",)
    options = frozenset({"has_splits"})
    packing = "TAR"
    has_splits = True
    says_suggestions = True
    says = frozenset(FACTS)

    def usage_said(self, image: AnnotatedImage) -> str | None:
        return image.usage  # also the JSON does

    def image_path(self, image: AnnotatedImage) -> str:
        return f"{_key(image)}{suffix(image.file_name)}"

    def files(self, image: AnnotatedImage) -> Sequence[File]:
        upright = image.upright
        whole = [each.label for each in image.confirmed if each.shape is None]
        said = {
            "path": image.path,
            "width": upright.raster.width,
            "height": upright.raster.height,
            "usage": image.usage,
            "label": whole[0] if whole else None,
            "annotations": [annotation_json(each) for each in upright.annotations],
        }
        files = [File(f"{_key(image)}.json", orjson.dumps(said))]
        if self.facts.type == "IMAGE_CLASSIFICATION" and whole:
            files.append(File(f"{_key(image)}.cls", str(self.facts.label_numbers[whole[0]]).encode()))
        return files

    def series(self) -> Sequence[Series]:
        if not self.facts.is_split:
            return (Series(self.facts.name),)
        usages = {name: usage for usage, name in SPLITS.items()}
        return tuple(Series(split, frozenset({usages[split]})) for split in self.facts.splits)

    def shard_name(self, series: Series, number: int) -> str:
        return f"{series.name}-{number:06d}"


def _key(image: AnnotatedImage) -> str:
    return f"{image.number:09d}"
