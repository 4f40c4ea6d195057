"""Auto labelling by a model in an ONNX file, by a worker."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from db.postgres.engine import Database
from tests.db.dataset_fixture import image_bytes
from tests.vision.house import House, opened
from tests.vision.test_onnx_models import BOXES, CLASSES, SIDE, boxes, colors, written

LABELS = "mutation ($input: CreateLabelsInput!) { createLabels(input: $input) { labels { id } } }"
SHAPES = """query ($id: ID!) { dataset(by: {id: $id}) { samples { nodes { annotations { label { name } confidence
    shape { ... on BoundingBox { xMin yMin xMax yMax } } } } } } }"""
COLORS = CLASSES | {"name": "colors", "version": "2", "output": {"scores": "PROBABILITIES"}}


def turned() -> bytes:
    """200 × 100 as stored, which viewers show as 100 × 200."""
    image, out = Image.new("RGB", (200, 100), "red"), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


async def named(house: House, *labels: str) -> None:
    input_ = {"datasetId": house.dataset, "labels": [{"name": label} for label in labels]}
    await house.client.execute(LABELS, {"input": input_})


def folders(root: Path, images: dict[str, bytes]) -> tuple[Path, Path]:
    """Of images and of models."""
    for name in ("images", "models"):
        (root / name).mkdir()
    for name, data in images.items():
        (root / "images" / name).write_bytes(data)
    return root / "images", root / "models"


async def test_a_classification_suggests_labels_that_the_dataset_has(database: Database, tmp_path: Path) -> None:
    pictures = {f"{color}.png": image_bytes(color) for color in ("red", "lime", "blue")}
    images, models = folders(tmp_path, pictures)
    written(models, colors(), COLORS)
    async with opened(database, tmp_path, images) as house:
        await named(house, "red", "green")
        job = await house.work(model={"onnx": {"path": "model.onnx"}}, minConfidence=0.9)
        assert (job["status"], job["error"], job["readCount"]) == ("SUCCEEDED", None, 3)
        assert job["model"] == {"name": "colors", "modelVersion": "2"}
        assert await house.suggested() == {"lime.png": ["green"], "red.png": ["red"]}
        [warning] = job["warnings"]["nodes"]
        assert "`blue`" in warning["message"]
        await house.label(["red.png", "blue.png"], "red")
        evaluated = await house.work(model={"onnx": {"path": "model.onnx"}}, limit=0)
        found = evaluated["evaluation"]
        assert (found["accuracy"], found["sampleCount"], evaluated["readCount"]) == (0.5, 2, 2)
        assert [(each["name"], each["precision"], each["recall"]) for each in found["labels"]] == [("red", 1, 0.5)]


async def test_boxes_are_in_stored_pixels(database: Database, tmp_path: Path) -> None:
    images, models = folders(tmp_path, {"a.jpg": turned()})
    described = BOXES | {"input": {"width": SIDE, "height": SIDE, "resize": "LETTERBOX"}}
    written(models, boxes([0.5, 0.5, 0.5, 0.25, 0.9, 0, 0]), described)
    async with opened(database, tmp_path, images, type="OBJECT_DETECTION") as house:
        await named(house, "red")
        job = await house.work(model={"onnx": {"path": str(models / "model.onnx")}}, minConfidence=0.5)
        assert (job["status"], job["suggestedCount"]) == ("SUCCEEDED", 1)
        [sample] = (await house.client.execute(SHAPES, {"id": house.dataset}))["dataset"]["samples"]["nodes"]
        [annotation] = sample["annotations"]
        assert annotation["confidence"] == pytest.approx(0.9)
        assert annotation["shape"] == {"xMin": 75, "yMin": 0, "xMax": 125, "yMax": 100}


@pytest.mark.parametrize(
    ("model", "description", "code"),
    [
        (colors(), {"kind": "CLASSIFICATION"}, "MODEL_UNAVAILABLE"),
        (colors(), COLORS | {"version": "  "}, "MODEL_UNAVAILABLE"),
        (b"no model", COLORS, "MODEL_UNAVAILABLE"),
        (colors(), COLORS | {"output": {"name": "x"}}, "MODEL_UNAVAILABLE"),
        (boxes([0.5, 0.5, 0.5, 0.25, 0.9, 0, 0]), BOXES, "VALIDATION_FAILED"),
    ],
)
async def test_a_model_that_cannot_be_used_ends_the_job(
    database: Database, tmp_path: Path, model: bytes, description: Any, code: str
) -> None:
    images, models = folders(tmp_path, {"a.png": image_bytes("red")})
    written(models, model, description)
    async with opened(database, tmp_path, images) as house:
        await named(house, "red")
        job = await house.work(model={"onnx": {"path": "model.onnx"}})
        assert (job["status"], job["error"]["code"], job["suggestedCount"]) == ("FAILED", code, 0)
