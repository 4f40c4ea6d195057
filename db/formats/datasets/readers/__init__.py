"""Readers of the formats of data sets, by name. ModelArts' manifests have a reader of their own, in `db.ingest`."""

from collections.abc import Mapping
from typing import Final

from db.formats.datasets.readers import (
    coco,
    cvat,
    hugging_face,
    image_folder,
    json_lines,
    label_studio,
    labels_csv,
    parquet_files,
    pascal_voc,
    text_files,
    web_dataset,
    yolo,
)
from db.formats.datasets.readers.detection import detect
from db.formats.datasets.reading import Reader

__all__ = ["READERS", "detect"]

READERS: Final[Mapping[str, Reader]] = {
    "COCO": coco.read,
    "CSV": labels_csv.read,
    "CVAT": cvat.read,
    "HUGGING_FACE": hugging_face.read,
    "IMAGE_FOLDER": image_folder.read,
    "JSON_LINES": json_lines.read,
    "LABEL_STUDIO": label_studio.read,
    "PARQUET": parquet_files.read,
    "PASCAL_VOC": pascal_voc.read,
    "IMAGE_TEXT": text_files.read,
    "WEBDATASET": web_dataset.read,
    "YOLO": yolo.read,
}
