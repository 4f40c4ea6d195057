"""Formats of whole datasets: what is written for an export, by anybody who has the records. No database and no I/O.

records     an image with all that is said of it, and the facts of a dataset
format      the interface of all formats
names       file names that every archive and file system takes
"""

from collections.abc import Mapping
from typing import Final

from db.formats.datasets.coco import Coco
from db.formats.datasets.croissant import Croissant
from db.formats.datasets.cvat import Cvat
from db.formats.datasets.format import Format
from db.formats.datasets.hugging_face import ImageFolderWithMetadata
from db.formats.datasets.image_folder import ImageFolder
from db.formats.datasets.image_text import ImageText
from db.formats.datasets.json_lines import JsonLines
from db.formats.datasets.label_studio import LabelStudio
from db.formats.datasets.labels_csv import LabelsCsv
from db.formats.datasets.modelarts import ModelArtsManifest
from db.formats.datasets.parquet import Parquet
from db.formats.datasets.pascal_voc import PascalVoc
from db.formats.datasets.web_dataset import WebDataset
from db.formats.datasets.yolo import Yolo

FORMATS: Final[Mapping[str, type[Format]]] = {
    "CSV": LabelsCsv,
    "JSON_LINES": JsonLines,
    "COCO": Coco,
    "YOLO": Yolo,
    "PASCAL_VOC": PascalVoc,
    "CVAT": Cvat,
    "LABEL_STUDIO": LabelStudio,
    "IMAGE_FOLDER": ImageFolder,
    "IMAGE_TEXT": ImageText,
    "HUGGING_FACE": ImageFolderWithMetadata,
    "PARQUET": Parquet,
    "WEBDATASET": WebDataset,
    "CROISSANT": Croissant,
    "MODELARTS_MANIFEST": ModelArtsManifest,
}
