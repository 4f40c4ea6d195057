"""Formats of whole datasets: what is written for an export, by anybody who has the records. No database and no I/O.

records     an image with all that is said of it, and the facts of a dataset
format      the interface of all formats
names       file names that every archive and file system takes
"""

from collections.abc import Mapping
from typing import Final, Literal

from db.formats.datasets.coco import Coco
from db.formats.datasets.format import Format
from db.formats.datasets.image_folder import ImageFolder
from db.formats.datasets.image_text import ImageText
from db.formats.datasets.json_lines import JsonLines
from db.formats.datasets.labels_csv import LabelsCsv
from db.formats.datasets.modelarts import ModelArtsManifest
from db.formats.datasets.yolo import Yolo

FormatName = Literal["CSV", "JSON_LINES", "COCO", "YOLO", "IMAGE_FOLDER", "IMAGE_TEXT", "MODELARTS_MANIFEST"]
FORMATS: Final[Mapping[str, type[Format]]] = {
    "CSV": LabelsCsv,
    "JSON_LINES": JsonLines,
    "COCO": Coco,
    "YOLO": Yolo,
    "IMAGE_FOLDER": ImageFolder,
    "IMAGE_TEXT": ImageText,
    "MODELARTS_MANIFEST": ModelArtsManifest,
}
