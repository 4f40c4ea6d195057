"""`demo --vision`, as a person starts it."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.api.test_serve import Server, labelgraph

SUGGESTED = """{ dataset(by: {name: "digits"}) {
  models(first: 2) { nodes { name pendingCount } }
  samples(filter: {state: PENDING}, first: 50) {
    nodes { path annotations { isConfirmed confidence label { name } } }
  }
} }"""


@contextmanager
def demo(data_dir: Path) -> Iterator[Server]:
    with labelgraph("demo", "--vision", "--port", "0", "--data", str(data_dir)) as process:
        yield Server(process, data_dir)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Its path is short: a socket is in it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_the_demo_ends_with_suggestions_and_finds_them_again(data_dir: Path) -> None:
    with demo(data_dir) as server:
        assert "right on 70 labelled images, succeeded" in server.said
        found = server.ask(SUGGESTED)["dataset"]
        [model] = found["models"]["nodes"]
        assert f'In "digits", {model["pendingCount"]} suggestions of the built-in model wait' in server.said
        suggested = [
            (sample["path"].split("/")[0], annotation["label"]["name"].removeprefix("digit-"))
            for sample in found["samples"]["nodes"]
            for annotation in sample["annotations"]
            if not annotation["isConfirmed"] and annotation["confidence"] >= 0.5
        ]
        assert len(suggested) == model["pendingCount"] >= 10
        assert sum(is_so == said for is_so, said in suggested) >= 0.8 * len(suggested)
        assert server.stop(signal.SIGINT) == 0
    with demo(data_dir) as again:
        assert "90 images, 70 labelled, 20 to do" in again.said
        assert f"{len(suggested)} suggestions of the built-in model wait" in again.said
        assert "labelled images, succeeded" not in again.said
