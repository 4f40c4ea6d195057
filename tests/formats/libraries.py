"""What the field's own libraries read from our exports. Runs in an environment of its own, with `requirements.txt`.

Each check returns what is on each image, by the stem of its name: labels with the box around what they are on, or None
for the whole image.
"""

import contextlib
import io
import json
import logging
import os
import sys
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Labels = dict[str, list[tuple[str, Sequence[float] | None]]]
Check = Callable[[Path], Labels]
TOLERANCE = 0.01  # pixels


def stem(path: str) -> str:
    return Path(path).stem


def corners(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y + height]


def hull(points: Sequence[float]) -> list[float]:
    return [min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])]


# -- pycocotools


def pycocotools_coco(folder: Path) -> Labels:
    from pycocotools import mask
    from pycocotools.coco import COCO

    found: Labels = {}
    for file in sorted((folder / "annotations").glob("*.json")):
        coco = COCO(str(file))
        names = {each["id"]: each["name"] for each in coco.loadCats(coco.getCatIds())}
        for image in coco.loadImgs(coco.getImgIds()):
            part = file.stem.rpartition("_")[2]
            assert (folder / "images" / part / image["file_name"]).is_file()
            on_it = found.setdefault(stem(image["file_name"]), [])
            for each in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
                if isinstance(each.get("segmentation"), dict):
                    assert int(coco.annToMask(each).sum()) == each["area"]
                    assert is_near(corners(*mask.toBbox(coco.annToRLE(each))), corners(*each["bbox"]), 1)
                elif each.get("segmentation"):
                    covered = int(coco.annToMask(each).sum())
                    assert abs(covered - each["area"]) < 0.1 * each["area"] + 20, (covered, each["area"])
                on_it.append((names[each["category_id"]], corners(*each["bbox"]) if "bbox" in each else None))
    return found


# -- supervision


def _of_supervision(dataset: Any) -> Labels:
    return {
        stem(path): [
            (dataset.classes[number], [float(edge) for edge in box])
            for box, number in zip(detections.xyxy, detections.class_id, strict=True)
        ]
        for path, _, detections in dataset
    }


def supervision_coco(folder: Path) -> Labels:
    import supervision

    found: Labels = {}
    for file in sorted((folder / "annotations").glob("*.json")):
        part = file.stem.rpartition("_")[2]
        images = str(folder / "images" / part)
        found |= _of_supervision(supervision.DetectionDataset.from_coco(images, str(file)))
    return found


def supervision_pascal_voc(folder: Path) -> Labels:
    """It counts pixels from 1, and moves the left and the top edge."""
    import supervision

    args = (str(folder / "JPEGImages"), str(folder / "Annotations"))
    found = _of_supervision(supervision.DetectionDataset.from_pascal_voc(*args))
    return {
        name: [(label, [box[0] + 1, box[1] + 1, box[2], box[3]]) for label, box in labels if box is not None]
        for name, labels in found.items()
    }


def supervision_yolo(folder: Path) -> Labels:
    import supervision

    found: Labels = {}
    for labels in sorted((folder / "labels").iterdir()):
        places = (folder / "images" / labels.name, labels, folder / "data.yaml")
        found |= _of_supervision(supervision.DetectionDataset.from_yolo(*map(str, places)))
    return found


# -- Datumaro


def _of_datumaro(folder: Path, name: str) -> Labels:
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    dataset = Dataset.import_from(str(folder), name)
    categories = dataset.categories()[AnnotationType.label]
    found: Labels = {}
    for item in dataset:
        on_it = found.setdefault(stem(f"{item.id}.x"), [])
        outlined = {each.id for each in item.annotations if each.type == AnnotationType.polygon}
        for each in item.annotations:
            if each.type == AnnotationType.bbox and each.id in outlined:  # of COCO it gives the box, too
                continue
            box = None
            if each.type != AnnotationType.label:
                x, y, width, height = each.get_bbox()
                box = corners(float(x), float(y), float(width), float(height))
            on_it.append((categories[each.label].name, box))
    return found


def datumaro_coco(folder: Path) -> Labels:
    return _of_datumaro(folder, "coco_instances")


def datumaro_pascal_voc(folder: Path) -> Labels:
    return _of_datumaro(folder, "voc_detection")


def datumaro_cvat(folder: Path) -> Labels:
    return _of_datumaro(folder, "cvat")


# -- datasets


def datasets_hugging_face(folder: Path) -> Labels:
    return _of_datasets(folder, str)


def datasets_parquet(folder: Path) -> Labels:
    return _of_datasets(folder, int)


def _of_datasets(folder: Path, kind: type) -> Labels:
    """Labels are texts, or numbers that the schema names."""
    import datasets

    datasets.disable_progress_bars()
    found: Labels = {}
    for split in datasets.load_dataset(str(folder)).values():
        assert isinstance(split.features["image"], datasets.Image)
        names = getattr(split.features["label"], "names", None)
        assert (names is None) == (kind is str)
        sizes = [image.size for image in split["image"]]
        for row, size in zip(split.cast_column("image", datasets.Image(decode=False)), sizes, strict=True):
            assert size == (row["width"], row["height"])
            objects = row.get("objects") or {"bbox": [], "categories": []}
            boxes = zip(objects["categories"], objects["bbox"], strict=True)
            labels = [*((each, None) for each in row["labels"]), *((each, corners(*box)) for each, box in boxes)]
            on_it = found.setdefault(stem(row["image"]["path"]), [])
            on_it += [(str(each) if names is None else names[each], box) for each, box in labels if each != ""]
    return found


def datasets_image_folder(folder: Path) -> Labels:
    """Images without a label have no place in it."""
    import datasets

    expected = json.loads((folder.parent / "expected.json").read_text())
    found: Labels = {name: [] for name, labels in expected.items() if not labels}
    for rows in _loaded("imagefolder", data_dir=str(folder)):
        names = rows.features["label"].names
        for row in rows.cast_column("image", datasets.Image(decode=False)):
            on_it = found.setdefault(stem(row["image"]["path"]), [])
            on_it.append((names[row["label"]], None))
    return found


def datasets_csv(folder: Path) -> Labels:
    found: Labels = {}
    for rows in _loaded("csv", data_files=[str(file) for file in folder.glob("*.csv")]):
        for row in rows:
            box = [row[edge] for edge in ("x_min", "y_min", "x_max", "y_max")]
            on_it = found.setdefault(stem(row["path"]), [])
            if row["label"] is not None:
                on_it.append((row["label"], None if None in box else box))
    return found


def datasets_json_lines(folder: Path) -> Labels:
    found: Labels = {}
    for rows in _loaded("json", data_files=[str(file) for file in folder.glob("*.jsonl")]):
        for row in rows:
            on_it = found.setdefault(stem(row["path"]), [])
            on_it += [(each["label"], _box_of(each.get("shape"))) for each in row["annotations"]]
    return found


def _loaded(kind: str, **where: Any) -> Iterable[Any]:
    """The parts of a data set."""
    import datasets

    datasets.disable_progress_bars()
    parts: Iterable[Any] = datasets.load_dataset(kind, **where).values()
    return parts


def _box_of(shape: dict[str, Any] | None) -> Sequence[float] | None:
    if shape is None:
        return None
    points = [point[axis] for point in shape.get("points") or () for axis in "xy"]
    return hull(points) if points else [shape[edge] for edge in ("xMin", "yMin", "xMax", "yMax")]


# -- WebDataset


def webdataset_webdataset(folder: Path) -> Labels:
    import webdataset

    found: Labels = {}
    for file in sorted(folder.glob("*.tar")):
        for sample in webdataset.WebDataset(str(file), shardshuffle=False).decode("pil"):
            said = sample["json"]
            image = next(sample[end] for end in ("jpg", "png") if end in sample)
            assert image.size == (said["width"], said["height"])
            assert ("cls" in sample) == (said["label"] is not None)
            on_it = found.setdefault(stem(said["path"]), [])
            for each in said["annotations"]:
                on_it.append((each["label"], _box_of(each.get("shape"))))
    return found


# -- Croissant


def mlcroissant_croissant(folder: Path) -> Labels:
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    found: Labels = defaultdict(list)
    for record in dataset.records("annotations"):
        row = {key.rpartition("/")[2]: value for key, value in record.items()}
        on_it = found[stem(_text(row["path"]))]
        if row["label"] is not None and row["label"] == row["label"] and _text(row["label"]) not in ("", "nan"):
            box = [row[edge] for edge in ("x_min", "y_min", "x_max", "y_max")]
            is_whole = box[0] is None or box[0] != box[0]
            on_it.append((_text(row["label"]), None if is_whole else [float(edge) for edge in box]))
    images = list(dataset.records("images"))
    assert {stem(_text(image["images/file"])) for image in images} == set(found)
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# -- Label Studio


def label_studio_sdk_label_studio(folder: Path) -> Labels:
    from label_studio_sdk.converter import Converter

    converter = Converter(str(folder / "label_config.xml"), str(folder), download_resources=False)
    [tasks] = folder.glob("*.json")
    found: Labels = {}
    for item in converter.iter_from_json_file(str(tasks)):
        on_it = found.setdefault(stem(item["input"]["image"]), [])
        for result in (each for results in item["output"].values() for each in results):
            labels = next(result[key] for key in ("rectanglelabels", "polygonlabels", "choices") if key in result)
            on_it += [(label, _box_of_percents(result)) for label in labels]
    return found


def _box_of_percents(result: dict[str, Any]) -> list[float] | None:
    if "choices" in result:
        return None
    across, down = result["original_width"] / 100, result["original_height"] / 100
    if "points" in result:
        return hull([number for x, y in result["points"] for number in (x * across, y * down)])
    return corners(result["x"] * across, result["y"] * down, result["width"] * across, result["height"] * down)


ALL = ("cells", "outlines", "digits", "uneven", "unlabelled")
CHECKS: dict[tuple[str, str], tuple[Check, Iterable[str]]] = {
    ("pycocotools", "COCO"): (pycocotools_coco, ("cells", "outlines", "digits")),
    ("pycocotools", "COCO with masks"): (pycocotools_coco, ("outlines",)),
    ("supervision", "COCO"): (supervision_coco, ("cells", "outlines")),
    ("supervision", "PASCAL_VOC"): (supervision_pascal_voc, ("cells", "outlines")),
    ("supervision", "YOLO"): (supervision_yolo, ("cells",)),
    ("datumaro", "COCO"): (datumaro_coco, ("cells", "outlines")),
    ("datumaro", "PASCAL_VOC"): (datumaro_pascal_voc, ("cells",)),
    ("datumaro", "CVAT"): (datumaro_cvat, ("cells", "outlines", "digits")),
    ("datasets", "HUGGING_FACE"): (datasets_hugging_face, ALL),
    ("datasets", "PARQUET"): (datasets_parquet, ALL),
    ("datasets", "IMAGE_FOLDER"): (datasets_image_folder, ("digits",)),
    ("datasets", "CSV"): (datasets_csv, ("cells", "digits", "uneven", "unlabelled")),
    ("datasets", "JSON_LINES"): (datasets_json_lines, ALL),
    ("webdataset", "WEBDATASET"): (webdataset_webdataset, ("cells", "outlines", "digits", "unlabelled")),
    ("mlcroissant", "CROISSANT"): (mlcroissant_croissant, ALL),
    ("label-studio-sdk", "LABEL_STUDIO"): (label_studio_sdk_label_studio, ("cells", "outlines", "digits")),
}


def write(exports: Path, folder: Path) -> None:
    """What libraries write of the cells, having read our COCO, for our own readers: a folder for each format."""
    import supervision
    from datumaro.components.dataset import Dataset

    coco = exports / "cells" / "COCO"
    for name, format_ in WRITTEN.items():
        Dataset.import_from(str(coco), "coco_instances").export(str(folder / format_), name, save_media=True)
    file = coco / "annotations" / "instances_train.json"
    found = supervision.DetectionDataset.from_coco(str(coco / "images" / "train"), str(file))
    yolo = folder / "YOLO of supervision"
    found.as_yolo(str(yolo / "images"), str(yolo / "labels"), str(yolo / "data.yaml"))


WRITTEN = {"coco_instances": "COCO", "cvat": "CVAT", "voc_detection": "PASCAL_VOC", "yolo_ultralytics": "YOLO"}


def differences(found: Labels, expected: Labels, tolerance: float) -> list[str]:
    lines = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    lines += [f"{name} is not expected" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        left = list(found[name])
        for label, box in expected[name]:
            match = next((each for each in left if each[0] == label and is_near(each[1], box, tolerance)), None)
            if match is None:
                lines.append(f"{name}: {label} {box} is missing")
            else:
                left.remove(match)
        lines += [f"{name}: {label} {box} is not expected" for label, box in left]
    return lines


def is_near(box: Sequence[float] | None, other: Sequence[float] | None, tolerance: float) -> bool:
    if box is None or other is None:
        return box is other
    return all(abs(a - b) <= tolerance for a, b in zip(box, other, strict=True))


def main(folder: Path, libraries: Sequence[str]) -> int:
    passed, failed = 0, 0
    for (library, name), (check, datasets) in CHECKS.items():
        for dataset in datasets if not libraries or library in libraries else ():
            expected: Labels = json.loads((folder / dataset / "expected.json").read_text())
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                    lines = differences(check(folder / dataset / name), expected, TOLERANCE)
            except Exception:  # whatever a library raises
                lines = [printed.getvalue(), traceback.format_exc()]
            count = sum(map(len, expected.values()))
            outcome = "FAILED" if lines else "ok"
            print(f"{outcome:6} {library} reads {name} of {dataset}: {len(expected)} images, {count} labels")
            for line in lines[:10]:
                print(f"       {line}")
            passed, failed = passed + (not lines), failed + bool(lines)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": sys.argv[2], "TQDM_DISABLE": "1", "MPLCONFIGDIR": sys.argv[2]}
    if sys.argv[3:4] == ["--write"]:
        write(Path(sys.argv[1]), Path(sys.argv[4]))
    else:
        sys.exit(main(Path(sys.argv[1]), sys.argv[3:]))
