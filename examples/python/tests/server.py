"""The server that the tests talk to, and folders of images: see tests/clients/run.mjs at the top of the checkout."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

from labelgraph_client import Client, CreateDatasetInput, Dataset, DatasetType

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "examples" / "digits"
CELLS = ROOT / "examples" / "cells"
COUNT = len(list(DIGITS.rglob("*.JPG")))  # of images
LABELED_COUNT = len(list(DIGITS.rglob("*.txt")))
EACH = COUNT // 10  # of a digit
URL = os.environ["LABELGRAPH_CLIENTS_URL"]
TOKEN = os.environ["LABELGRAPH_CLIENTS_TOKEN"]
IMAGES = Path(os.environ["LABELGRAPH_CLIENTS_IMAGES"])  # below which datasets may be


def connect(patience: float = 30) -> Client:
    return Client(URL, TOKEN, patience=patience)


def make_dataset(source: Path | None = DIGITS, type: DatasetType = DatasetType.IMAGE_CLASSIFICATION) -> Dataset:
    """A dataset with copies of the images, synced; or an empty one."""
    name = f"python-{uuid4().hex[:12]}"
    if source:
        shutil.copytree(source, IMAGES / name)
    else:
        (IMAGES / name).mkdir()
    with connect() as client:
        created = client.create_dataset(CreateDatasetInput(name=name, type_=type, input_path=str(IMAGES / name)))
        assert created.job
        client.wait(created.job)
        return client.dataset(name)
