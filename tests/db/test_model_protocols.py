"""What models behind HTTP are asked, and how their answers are understood, without a server."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from db.auto_labelling.allowed import AllowedModels, ModelHost
from db.auto_labelling.answers import MAX_PROBLEMS, MAX_READ, Answer, Guess
from db.auto_labelling.http_client import Client, Unanswered
from db.auto_labelling.image_urls import ImageUrls
from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.auto_labelling.label_studio_protocol import LabelStudioProtocol
from db.auto_labelling.labelgraph_protocol import LabelgraphProtocol
from db.auto_labelling.models import as_version
from db.errors import Invalid, ModelUnavailable
from db.formats.shapes import BoundingBox, Polygon, Position, Raster
from db.identity.urls import Signer
from db.jobs import Claim
from db.labelling.suggestions.models import LENGTH
from db.storage import Disks, DiskTimeout
from tests.snippets import snippets

SAMPLE = JobSample(1, 7, "a/1.jpg", (), 70, "a/1.jpg", "e", 100, "c", "JPEG", True, Raster(200, 100))
TURNED = replace(SAMPLE, number=2, id=8, raster=Raster(200, 100, 6))
UNKNOWN = replace(SAMPLE, number=3, id=9, raster=None)
URLS = ImageUrls(Signer(b"secret", 60), "https://labels.example.com", 3)
JOB = Claim(4, 5, "AUTO_LABEL", 1, 1, 1, {"min_confidence": 0.5}, {}, "ann")


class Answering:
    """A client whose answers are given."""

    def __init__(self, answer: object) -> None:
        self.answer, self.asked = answer, list[tuple[str, str, Any]]()

    async def check(self, path: str) -> None:
        self.asked.append(("GET", path, None))

    async def request(self, method: str, path: str, body: object = None) -> Any:
        self.asked.append((method, path, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def dataset(kind: str) -> LabelledDataset:
    return LabelledDataset(5, "pets", kind, "/images", 3, 0)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


DEEP = nested(1_000)  # which is read from JSON, and not written


def studio(answer: object, kind: str = "OBJECT_DETECTION", **more: Any) -> tuple[LabelStudioProtocol, Answering]:
    client = Answering(answer)
    labels = {"cat": "#ff0000", "dog & co": None}
    values: dict[str, Any] = {"several": False, "urls": URLS, "config": None} | more
    return LabelStudioProtocol(cast(Client, client), JOB, dataset(kind), labels, **values), client


async def predicted(result: object, *samples: JobSample, kind: str = "OBJECT_DETECTION") -> list[Answer]:
    protocol, _ = studio({"results": result}, kind)
    return await protocol.predict(samples or (SAMPLE,))


def box(x: float, y: float, width: float, height: float, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": ["cat"]}
    return {"type": "rectanglelabels", "value": value, "score": 0.75, **more}


# -- Label Studio's protocol


async def test_a_backend_gets_tasks_with_signed_urls_and_a_configuration_of_the_labels() -> None:
    protocol, client = studio({"results": [], "model_version": "3"})
    await protocol.begin()
    await protocol.predict([SAMPLE])
    (_, health, _), (_, setup, setting_up), (method, path, body) = client.asked
    assert (health, setup, method, path) == ("/health", "/setup", "POST", "/predict")
    assert setting_up["schema"] == body["label_config"]
    assert body["label_config"].splitlines()[1:5] == [
        '  <Image name="image" value="$image"/>',
        '  <RectangleLabels name="rectangle" toName="image">',
        '    <Label value="cat" background="#ff0000"/>',
        '    <Label value="dog &amp; co"/>',
    ]
    [task] = body["tasks"]
    assert task["id"] == 7
    assert task["data"]["image"].startswith("https://labels.example.com/images/70.jpg?e=")
    assert (body["project"], body["model_version"]) == ("5.4", "3")


@pytest.mark.parametrize(("several", "choice"), [(True, "multiple"), (False, "single")])
async def test_a_classification_is_one_control(several: bool, choice: str) -> None:
    protocol, _ = studio({}, "IMAGE_CLASSIFICATION", several=several)
    assert f'<Choices name="choice" toName="image" choice="{choice}">' in protocol.config
    assert "RectangleLabels" not in protocol.config
    assert studio({}, config="<View/>")[0].config == "<View/>"


async def test_a_backend_without_a_setup_is_used_as_it_is() -> None:
    protocol, _ = studio(ModelUnavailable("none", status=404))
    protocol.client = cast(Client, Answering({}))
    await protocol.begin()
    assert protocol.version is None
    failing = Answering(ModelUnavailable("it refuses", status=403))
    protocol.client = cast(Client, failing)
    with pytest.raises(ModelUnavailable):
        await protocol.begin()


async def test_boxes_are_percentages_of_the_upright_image() -> None:
    [answer] = await predicted([{"result": [box(10, 20, 30, 40)], "model_version": "v2"}])
    assert (answer.guesses, answer.version) == ([Guess("cat", 0.75, BoundingBox(20, 20, 80, 60))], "v2")
    [answer] = await predicted([{"result": [box(10, 20, 30, 40, original_width=999, original_height=1)]}], TURNED)
    assert answer.guesses[0].shape == BoundingBox(40, 60, 120, 90)  # upright it is 100 × 200
    assert answer.version == "1"


async def test_shapes_that_reach_beyond_the_image_are_cut_there() -> None:
    points = [[-5, -5], [50, -5], [50, 105]]
    polygon = {"type": "polygonlabels", "value": {"points": points, "polygonlabels": ["dog"], "closed": True}}
    [answer] = await predicted([{"result": [box(-10, 0, 60, 110), polygon], "score": 0.6}])
    cut = Polygon((Position(0, 0), Position(100, 0), Position(100, 100)))
    assert answer.guesses == [Guess("cat", 0.75, BoundingBox(0, 0, 100, 100)), Guess("dog", 0.6, cut)]


async def test_a_task_may_have_several_predictions_or_none() -> None:
    first, second = {"result": [box(0, 0, 10, 10)]}, {"result": [box(0, 0, 20, 20)], "model_version": 4}
    answers = await predicted([[first, second], None, {"result": []}], SAMPLE, TURNED, UNKNOWN)
    assert [len(each.guesses) for each in answers] == [2, 0, 0]
    assert all(each.is_answered and not each.problems for each in answers)
    assert answers[0].version == "4"


async def test_what_has_no_score_has_the_least_confidence_that_is_asked_for() -> None:
    result = {"result": [{"type": "choices", "value": {"choices": ["cat", "dog"]}}]}
    [answer] = await predicted([result], kind="IMAGE_CLASSIFICATION")
    assert answer.guesses == [Guess("cat", 0.5), Guess("dog", 0.5)]


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ("nonsense", "no prediction"),
        ({"result": "nonsense"}, "no prediction"),
        ({"result": [{"value": 5}]}, "A result must have a `value`"),
        ({"result": [box(0, 0, 0, 0)]}, "left edge"),
        ({"result": [box("x", 0, 1, 1)]}, "`x` must be a number"),  # type: ignore[arg-type]
        ({"result": [{"value": {"rectanglelabels": [[]], "x": 1, "y": 1, "width": 2, "height": 2}}]}, "label"),
        ({"result": [box(DEEP, 0, 1, 1)]}, "`x` must be a number"),  # type: ignore[arg-type]
        ({"result": [{"value": {"format": "rle", "rle": [1], "brushlabels": ["cat"]}}]}, "Masks of a brush"),
    ],
)
async def test_a_bad_prediction_is_a_problem_of_its_sample(result: object, problem: str) -> None:
    bad, good = await predicted([result, {"result": [box(0, 0, 1, 1)]}], SAMPLE, TURNED)
    assert problem in " ".join(bad.problems)
    assert (bad.is_answered, len(good.guesses)) == (False, 1)


async def test_the_labels_of_a_region_do_not_multiply_its_points_without_bounds() -> None:
    """Some kilobytes would become gigabytes."""
    points = [[at % 100, at // 100] for at in range(10_000)]
    several = {"value": {"points": points, "polygonlabels": [f"label_{at}" for at in range(MAX_READ)]}}
    two = {"value": {"points": points, "polygonlabels": ["cat", "dog"]}}
    [answer] = await predicted([{"result": [two, several, two], "score": 1}], kind="IMAGE_SEGMENTATION")
    assert [guess.label for guess in answer.guesses] == ["cat", "dog"]
    assert "repeat more than 100,000 points" in answer.problems[0]


async def test_many_results_of_one_region_take_no_longer_than_those_of_many() -> None:
    """Each copied what the ones before had said."""

    async def seconds(id_: str) -> float:
        keys = [f"key_{at}" for at in range(100)]
        said = [{"id": id_.format(at), "value": {f"{key}_{at}": at for key in keys}} for at in range(1_000)]
        start = time.process_time()
        await predicted([{"result": said}], kind="IMAGE_CLASSIFICATION")
        return time.process_time() - start

    assert await seconds("a") < 10 * await seconds("{}")


async def test_shapes_of_an_image_of_unknown_size_are_left_out() -> None:
    [answer] = await predicted([{"result": [box(0, 0, 1, 1)]}], UNKNOWN)
    assert (answer.is_answered, answer.guesses) == (False, [])
    assert "sync the dataset" in answer.problems[0]


@pytest.mark.parametrize("answer", [None, [], {}, {"results": None}, {"results": [{}, {}]}])
async def test_an_answer_that_is_none_answers_nothing(answer: object) -> None:
    protocol, _ = studio(answer)
    with pytest.raises(Unanswered):
        await protocol.predict([SAMPLE])


# -- the plain protocol


def plain(answer: object, kind: str = "OBJECT_DETECTION") -> tuple[LabelgraphProtocol, Answering]:
    client = Answering(answer)
    return LabelgraphProtocol(cast(Client, client), dataset(kind), ["cat"], URLS), client


async def asked(item: dict[str, Any], kind: str = "OBJECT_DETECTION") -> Answer:
    protocol, _ = plain({"version": 2, "samples": [{"id": "7", **item}]}, kind)
    [answer] = await protocol.predict([SAMPLE])
    return answer


async def test_a_plain_model_is_told_what_it_needs() -> None:
    tiff = replace(TURNED, format="TIFF")
    protocol, client = plain({"samples": [{"id": 9, "annotations": []}]})
    await protocol.begin()
    *missing, answered = await protocol.predict([SAMPLE, tiff, UNKNOWN])
    assert [each.problems for each in missing] == [("The model did not answer about it.",)] * 2
    assert answered.is_answered
    [(method, path, body)] = client.asked
    assert (method, path, body["labels"]) == ("POST", "", ["cat"])
    assert body["dataset"] == {"name": "pets", "type": "OBJECT_DETECTION"}
    first, second, third = body["samples"]
    assert (first["id"], first["path"], first["width"], first["height"]) == ("7", "a/1.jpg", 200, 100)
    assert second["orientation"] == 6
    assert "/originals/70.tif?" in second["url"], "pixels are those of the file, not of a rendition"
    assert "width" not in third


async def test_the_manual_shows_what_a_plain_model_gets_and_what_it_answers() -> None:
    body, answer = map(json.loads, snippets("docs/auto-labelling.md", "json"))
    protocol, client = plain(answer)
    [found] = await protocol.predict([SAMPLE])
    assert found == Answer(SAMPLE, [Guess("cat", 0.93, BoundingBox(1, 2, 9, 8))], (), True, "3")
    [(_, _, sent)] = client.asked
    assert (sent["dataset"], sent.keys()) == (body["dataset"], body.keys())
    assert sent["samples"][0].keys() == body["samples"][0].keys()


async def test_a_plain_model_answers_in_stored_pixels() -> None:
    shape = {"type": "BoundingBox", "xMin": -1, "yMin": 2, "xMax": 9, "yMax": 8}
    answer = await asked({"annotations": [{"label": "cat", "confidence": 1, "shape": shape}]})
    assert (answer.guesses, answer.version) == ([Guess("cat", 1.0, BoundingBox(0, 2, 9, 8))], "2")


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({}, "no list `annotations`"),
        ({"annotations": [7]}, "must be a JSON object, and is 7"),
        ({"annotations": [{"confidence": 1}]}, "`label` is missing"),
        ({"annotations": [{"label": "cat"}]}, "`confidence` is missing"),
        ({"annotations": [{"label": "cat", "confidence": 2}]}, "from 0 to 1"),
        ({"annotations": [{"label": "cat", "confidence": 1, "shape": {"type": "Cube"}}]}, "not a shape"),
        ({"annotations": [{"label": "cat", "confidence": 1, "shape": 5}]}, "`shape` must be a JSON object, and is 5"),
        ({"error": "out of\nmemory"}, r"could not answer about it: out of\nmemory"),
        ({"error": {}}, "no reason"),
    ],
)
async def test_a_bad_item_is_a_problem_of_its_sample(item: dict[str, Any], problem: str) -> None:
    answer = await asked(item)
    assert problem in " ".join(answer.problems)
    assert not answer.is_answered


async def test_of_too_much_the_first_is_read_and_the_others_have_their_turns() -> None:
    said = [{"label": "cat", "confidence": 1}] * (MAX_READ + 1)
    cut = f"The model's answer about it has {MAX_READ + 1:,} annotations; the first {MAX_READ:,} were read."
    answering = asyncio.create_task(asked({"annotations": said}))
    turns = 0
    while not answering.done():
        await asyncio.sleep(0)
        turns += 1
    assert (len((await answering).guesses), (await answering).problems) == (MAX_READ, (cut,))
    assert turns > MAX_READ / 1_000
    [answer] = await predicted([[{"result": said[:-1]}, {"result": [box(0, 0, 1, 1)]}]])
    assert (answer.guesses, answer.problems[1:]) == ([], [cut])
    points = {"type": "Polygon", "points": [{"x": 1}] * 10_001}
    answer = await asked({"annotations": [{"label": "cat", "confidence": 1, "shape": points}]}, "IMAGE_SEGMENTATION")
    assert "10,001" in answer.problems[0]


async def test_a_few_problems_of_a_sample_are_told() -> None:
    said = [{"label": "cat", "confidence": confidence} for confidence in range(2, 3 + MAX_PROBLEMS + 1)]
    warnings = (await asked({"annotations": said})).warnings
    assert len(warnings) == MAX_PROBLEMS + 1
    assert warnings[-1][1].startswith("2 more problems")


async def test_a_classification_takes_no_shapes() -> None:
    shape = {"type": "Point", "position": {"x": 1, "y": 1}}
    answer = await asked({"annotations": [{"label": "cat", "confidence": 1, "shape": shape}]}, "IMAGE_CLASSIFICATION")
    assert "no shapes" in answer.problems[0]


@pytest.mark.parametrize(
    "answer", [None, {}, {"samples": {}}, {"samples": [7]}, {"samples": [{"id": "8"}]}, {"samples": [{"id": DEEP}]}]
)
async def test_a_plain_answer_that_is_none_answers_nothing(answer: object) -> None:
    with pytest.raises(Unanswered):
        await plain(answer)[0].predict([SAMPLE])


# -- what is allowed


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost:9090", ModelHost("localhost", 9090)),
        ("ML.example.com:443", ModelHost("ml.example.com", 443)),
        ("[::1]:80", ModelHost("::1", 80)),
        ("me:p%40ss@10.0.0.1:1", ModelHost("10.0.0.1", 1, "me", "p@ss")),
    ],
)
def test_hosts_are_named_with_their_ports(text: str, host: ModelHost) -> None:
    assert ModelHost.parse(text) == host
    assert "p@ss" not in repr(ModelHost.parse(text))


@pytest.mark.parametrize(
    "text", ["localhost", "localhost:0", "localhost:70000", "http://localhost:1", "a b:1", ":1", ""]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it should be hosts"):
        ModelHost.parse(text)


HOSTS = ("localhost:9090", "ml.example.com:443", "[::1]:80")


@pytest.mark.parametrize(
    "url", ["http://localhost:9090/x/", "https://ML.example.com", "https://ml.example.com:443/a?b=c", "http://[::1]/"]
)
def test_urls_of_allowed_hosts(url: str) -> None:
    allowed = AllowedModels(tuple(map(ModelHost.parse, HOSTS)))
    assert allowed.address(url).url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9090",
        "file:///etc/passwd",
        "ftp://localhost:9090",
        "http://localhost",
        "http://localhost:9091",
        "http://localhost:9090@evil.example.com/",
        "http://me:secret@localhost:9090/",
        "http://localhost:9090#x",
        "http://localhost:9090/a b",
        "http://localhost:9090/\nx",
        "http://127.0.0.1:9090/",
        "http://localhost.:9090/",
        "http://2130706433:9090/",
        "http://ml.example.com:443.evil.example.com/",
        "http://[::1:80/",
        "http://localhost:99999/",
        "http://löcalhost:9090/",
    ],
)
def test_all_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        AllowedModels(tuple(map(ModelHost.parse, HOSTS))).address(url)
    assert refused.value.details == {"path": "model.http.url"}


def test_versions_are_kept_as_they_can_be_stored() -> None:
    given: Sequence[object] = ("v1", 3, 0.5, " a\x00b ", "", None, [], True, "x" * 999)
    assert [as_version(each) for each in given] == ["v1", "3", "0.5", "ab", None, None, None, None, "x" * LENGTH]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x",
        "none.onnx",
        "pipe.onnx",
        "folder.onnx",
        "outside.onnx",
        "loop.onnx",
        "described.onnx",
        "../secret.onnx",
        "a" * 300 + ".onnx",
    ],
)
async def test_files_that_are_no_models_of_the_owner(tmp_path: Path, path: str) -> None:
    folder = tmp_path.resolve() / "models"
    (folder / "folder.onnx").mkdir(parents=True)
    os.mkfifo(folder / "pipe.onnx")
    (tmp_path / "secret.onnx").touch()
    (folder / "outside.onnx").symlink_to(tmp_path / "secret.onnx")
    (folder / "loop.onnx").symlink_to("loop.onnx")
    (folder / "described.onnx").touch()
    (folder / "described.json").symlink_to(tmp_path / "secret.json")
    (folder / "x").touch()
    (folder / "owls.ONNX").touch()
    allowed = AllowedModels(folders=(folder,))
    assert await allowed.file("owls.ONNX") == await allowed.file(str(folder / "owls.ONNX")) == folder / "owls.ONNX"
    with pytest.raises(Invalid, match="ONNX file") as refused:
        await allowed.file(path)
    assert refused.value.code == "INVALID_PATH"


async def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    monkeypatch.setattr(os.path, "realpath", lambda path: end.wait() and path)
    allowed = AllowedModels(folders=(tmp_path,), disks=Disks(0.05))
    try:
        with pytest.raises(DiskTimeout):
            await allowed.file("owls.onnx")
    finally:
        end.set()
