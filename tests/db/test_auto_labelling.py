"""Auto labelling by a model behind HTTP: what is suggested, and what happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from db import jobs
from db.auto_labelling import http_models
from db.auto_labelling import job as auto_labelling
from db.auto_labelling.allowed import AllowedModels
from db.errors import Invalid
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from tests.db.auto_labelling_fixture import House, opened
from tests.db.model_backend import choices, hang, rectangle
from tests.waiting import wait_until

VISION: tuple[jobs.Ability] = ("VISION",)


@pytest.fixture
async def house(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    async with opened(database, tmp_path, monkeypatch) as house:
        yield house


async def test_a_model_suggests_for_all_samples_without_a_label(house: House) -> None:
    await house.label("cat", 0)
    job = await house.labelled()
    assert (job["status"], job["error"], job["progress"], job["modelKind"]) == ("SUCCEEDED", None, 1, "HTTP")
    assert job["model"] == {"name": house.served.host, "modelVersion": "v7"}
    assert (job["sampleCount"], job["readCount"], job["suggestedCount"], job["suggestedSampleCount"]) == (5, 6, 5, 5)
    assert (job["skippedCount"], job["leftOutLabels"], job["waitsFor"]) == (0, [], None)
    [labelled], *others = await house.annotations()
    assert (labelled["label"]["name"], labelled["isConfirmed"], labelled["model"]) == ("cat", True, None)
    for position, [annotation] in enumerate(others, 1):
        assert annotation == {
            "label": {"name": "dog"},
            "confidence": 0.9 + position / 100,
            "isConfirmed": False,
            "origin": "MODEL",
            "model": job["model"],
        }
    await house.client.check()


async def test_only_what_is_asked_for_is_suggested(house: House) -> None:
    house.answered[1] = choices("cat", 0.99)
    await house.labelled(select={"ids": house.client.ids(1, 2, 3, 4)}, minConfidence=0.93, labels=["dog"], limit=3)
    assert await house.suggested() == [[], [], [], [("dog", 0.93)], [], []]
    assert house.served.samples == house.client.dataset_rows.samples[1:4]


async def test_what_people_confirmed_is_kept_and_what_they_see_otherwise_is_suggested(house: House) -> None:
    await house.label("dog", 0, 1, 2, 3, 4, 5)
    house.answered[2] = choices("cat", 0.99)
    job = await house.labelled(select={"all": True})
    assert (job["keptCount"], job["suggestedCount"]) == (5, 1)
    assert [len(each) for each in await house.suggested()] == [0, 0, 1, 0, 0, 0]


async def test_a_model_replaces_what_it_suggested_before(house: House) -> None:
    await house.labelled()
    house.answered |= {0: choices("cat"), 1: choices("dog", 0.1)}
    again = await house.labelled(limit=3)
    assert await house.suggested() == [[("cat", 0.95)], [], *[[("dog", 0.9 + at / 100)] for at in (2, 3, 4, 5)]]
    assert again["status"] == "SUCCEEDED"


async def test_what_was_rejected_is_not_suggested_again_by_the_same_version(house: House) -> None:
    await house.labelled()
    values: dict[str, Any] = {"datasetId": house.client.dataset, "select": {"ids": house.client.ids(0, 1)}}
    await house.client.mutate("decideSuggestions", "suggestionCount", decision="REJECT", **values)
    again = await house.labelled()
    assert (again["rejectedBeforeCount"], again["suggestedCount"]) == (2, 4)
    assert [len(each) for each in await house.suggested()] == [0, 0, 1, 1, 1, 1]


async def test_a_model_that_answers_about_the_first_sample_only_is_asked_about_the_others(house: House) -> None:
    answer = house.served.answer
    house.served.answer = lambda request, body: answer(request, body and {**body, "tasks": body.get("tasks", [])[:1]})
    job = await house.labelled()
    assert (job["status"], job["suggestedCount"]) == ("SUCCEEDED", 6)
    assert [len(body["tasks"]) for path, body in house.served.asked if path == "/predict"] == [6, 1, 1, 1, 1, 1]


async def test_a_sample_that_the_model_fails_at_is_a_warning(house: House) -> None:
    del house.answered[2]
    house.answered |= {3: {"result": 5}, 4: choices("bird"), 5: choices("bird")}
    job = await house.labelled()
    assert (job["status"], job["suggestedCount"], job["skippedCount"]) == ("SUCCEEDED", 2, 2)
    warnings = {(each["path"], each["count"]): each["message"] for each in job["warnings"]["nodes"]}
    assert warnings["000002.jpg", 1] == "The model answered with the status 500."
    assert "no prediction" in warnings["000003.jpg", 1]
    assert "the label `bird`" in warnings["000004.jpg", 2]
    assert await house.suggested() == [[("dog", 0.9)], [("dog", 0.91)], [], [], [], []]


async def test_a_model_that_answers_nothing_ends_the_job_and_what_it_said_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_models, "MAX_FAILURES", 2)
    monkeypatch.setattr(auto_labelling, "MAX_SAMPLES", 2)
    monkeypatch.setattr(http_models, "BATCH", 2)
    for position in (3, 4, 5):
        del house.answered[position]
    job = await house.labelled()
    assert (job["status"], job["error"]["code"], job["suggestedCount"]) == ("FAILED", "MODEL_UNAVAILABLE", 3)
    assert "2 samples in a row" in job["error"]["message"]
    assert [len(each) for each in await house.suggested()] == [1, 1, 1, 0, 0, 0]


async def test_many_suggestions_are_several_changes_of_a_job(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_labelling, "MAX_ANNOTATIONS", 2)
    monkeypatch.setattr("db.labelling.suggestions.suggest.MAX_NAMED", 2)
    house.answered[0] = choices("cat", 0.91, dog=0.95)
    job = await house.labelled()
    assert (job["status"], job["suggestedCount"], job["suggestedSampleCount"]) == ("SUCCEEDED", 7, 6)
    async with house.database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM change WHERE kind = 'SUGGEST_ANNOTATIONS'") == 4


async def test_a_sample_that_is_full_gets_the_surest_that_fit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("db.labelling.samples.annotate", "db.auto_labelling.job"):
        monkeypatch.setattr(f"{module}.MAX_PER_SAMPLE", 1)
    await house.label("cat", 0)
    house.answered[1] = choices("cat", 0.91, dog=0.95)
    for _ in range(2):
        job = await house.labelled(select={"all": True})
        assert (job["status"], job["suggestedCount"], job["suggestedSampleCount"]) == ("SUCCEEDED", 5, 5)
        message = "A sample has at most 1 annotations; 1 suggestions were left out."
        warnings = sorted((each["path"], each["message"]) for each in job["warnings"]["nodes"])
        assert warnings == [("000000.jpg", message), ("000001.jpg", message)]
        assert (await house.suggested())[:3] == [[], [("dog", 0.95)], [("dog", 0.92)]]


@pytest.mark.parametrize(
    ("item", "status", "skipped"),
    [({"id": "0", "annotations": []}, "FAILED", 0), ({"error": "out of memory"}, "SUCCEEDED", 6)],
)
async def test_answers_about_other_samples_end_the_job_and_errors_do_not(
    house: House, item: dict[str, Any], status: str, skipped: int
) -> None:
    house.served.answer = lambda _, body: {"samples": [each | item for each in body["samples"]]}
    model = {"http": {"url": house.served.url, "protocol": "LABELGRAPH"}}
    job = await house.labelled(model=model)
    assert (job["status"], job["skippedCount"], job["suggestedCount"]) == (status, skipped, 0)
    assert (job["error"] or {"code": None})["code"] == ("MODEL_UNAVAILABLE" if status == "FAILED" else None)


@pytest.mark.parametrize("path", ["/health", "/setup"])
async def test_a_model_that_is_not_ready_ends_the_job(house: House, path: str) -> None:
    answer = house.served.answer
    house.served.answer = lambda request, body: (
        web.Response(status=500) if request.path == path else answer(request, body)
    )
    job = await house.labelled()
    assert (job["status"], job["error"]["code"], job["model"]) == ("FAILED", "MODEL_UNAVAILABLE", None)


async def test_a_label_that_is_deleted_meanwhile_is_not_suggested(house: House) -> None:
    answer = house.served.answer

    async def deleting(request: web.Request, body: Any) -> Any:
        if request.path == "/predict":
            values: dict[str, Any] = {"labelIds": [house.client.label("dog")], "mode": "LABEL_ONLY"}
            await house.client.mutate("deleteLabels", "deletedLabelIds", **values)
        return answer(request, body)

    house.served.answer = deleting
    house.answered[1] = choices("cat")
    job = await house.labelled()
    assert job["status"] == "SUCCEEDED"
    assert await house.suggested() == [[], [("cat", 0.95)], [], [], [], []]
    assert [each["count"] for each in job["warnings"]["nodes"]] == [5]


async def test_a_sample_that_is_deleted_meanwhile_gets_nothing(house: House) -> None:
    answer = house.served.answer

    async def deleting(request: web.Request, body: Any) -> Any:
        if request.path == "/predict":
            values: dict[str, Any] = {"datasetId": house.client.dataset, "select": {"ids": house.client.ids(2)}}
            await house.client.mutate("deleteSamples", "deletedSampleCount", **values)
        return answer(request, body)

    house.served.answer = deleting
    job = await house.labelled()
    assert (job["status"], job["suggestedCount"]) == ("SUCCEEDED", 5)
    assert [len(each) for each in await house.suggested()] == [1] * 5


@pytest.fixture
async def boxes(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """Of images of 100 × 100, on each of which the model finds a dog."""
    async with opened(database, tmp_path, monkeypatch, kind="OBJECT_DETECTION", size=(100, 100)) as house:
        house.answered |= {at: {"result": [rectangle("dog", 50, 50, 40, 40, 0.95)]} for at in range(6)}
        yield house


async def replace_image(house: House, position: int) -> None:
    """By a smaller one, as a sync does."""
    async with house.database.writing() as session:
        connection = await connection_of(session)
        await connection.execute(
            "UPDATE source SET status = 'GONE' FROM sample WHERE source.id = source_id AND sample.id = $1",
            house.client.dataset_rows.samples[position],
        )
        await connection.execute(
            """WITH source AS (
                INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height)
                SELECT dataset_id, path, 'other', 100, now(), 'JPEG', 10, 10 FROM sample WHERE id = $1 RETURNING id
            ) UPDATE sample SET source_id = source.id FROM source WHERE sample.id = $1""",
            house.client.dataset_rows.samples[position],
        )


async def test_an_image_that_is_replaced_meanwhile_gets_nothing(boxes: House) -> None:
    answer = boxes.served.answer

    async def replacing(request: web.Request, body: Any) -> Any:
        if request.path == "/predict":
            await replace_image(boxes, 2)
        return answer(request, body)

    boxes.served.answer = replacing
    job = await boxes.labelled()
    assert (job["status"], job["suggestedCount"], job["skippedCount"]) == ("SUCCEEDED", 5, 1)
    assert [(each["path"], each["message"]) for each in job["warnings"]["nodes"]] == [
        ("000002.jpg", "The image changed after the model looked at it; nothing was suggested for it.")
    ]
    assert [len(each) for each in await boxes.suggested()] == [1, 1, 0, 1, 1, 1]


async def test_what_was_said_in_the_evaluation_is_of_the_image_that_was_there(boxes: House) -> None:
    await boxes.label("cat", 0, 1)
    answer = boxes.served.answer

    async def replacing(request: web.Request, body: Any) -> Any:
        if request.path == "/predict" and len(boxes.served.samples) == 2:  # in the evaluation
            await replace_image(boxes, 1)
        return answer(request, body)

    boxes.served.answer = replacing
    job = await boxes.labelled(select={"all": True})
    assert (job["status"], job["suggestedCount"], job["warnings"]["nodes"]) == ("SUCCEEDED", 6, [])
    asked = [boxes.client.dataset_rows.samples.index(each) for each in boxes.served.samples]
    assert sorted(asked) == [0, 1, 1, 2, 3, 4, 5]


async def test_a_dataset_that_is_deleted_meanwhile_ends_it(house: House) -> None:
    async def deleting(request: web.Request, _: object) -> Any:
        if request.path == "/predict":
            await house.client.mutate("deleteDataset", "deletedDatasetId", datasetId=house.client.dataset)
            await hang(request)
        return {}

    house.served.answer = deleting
    await house.start()
    assert await house.work() == "CANCELED"


async def test_it_stops_when_it_is_canceled_however_long_the_model_takes(house: House) -> None:
    async def hanging(request: web.Request, _: object) -> Any:
        return await hang(request) if request.path == "/predict" else {}

    house.served.answer = hanging
    job = await house.start()
    working = asyncio.create_task(house.work())
    await wait_until(lambda: len(house.served.asked) == 3)
    await house.client.mutate("cancelJob", "job { status }", jobId=job)
    assert await working == "CANCELED"
    async with house.database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM auto_label_sample") == 0


async def test_another_worker_goes_on_behind_the_last_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_labelling, "MAX_SAMPLES", 2)
    monkeypatch.setattr(http_models, "BATCH", 2)
    answer, stopping = house.served.answer, asyncio.Event()

    async def are_suggested() -> bool:
        return [len(each) for each in await house.suggested()] == [1, 1, 1, 1, 0, 0]

    async def gated(request: web.Request, body: Any) -> Any:
        if request.path == "/predict" and len(house.served.samples) > 4 and not stopping.is_set():
            await wait_until(are_suggested)
            stopping.set()
            await hang(request)
        return answer(request, body)

    house.served.answer = gated
    job = await house.start()
    assert await house.work(stopping) == "RETURNED"
    assert await are_suggested()
    await house.label("dog", 0)
    house.served.asked.clear()
    assert await house.work() == "SUCCEEDED"
    assert house.served.samples == house.client.dataset_rows.samples[4:]
    assert [len(each) for each in await house.suggested()] == [0, 1, 1, 1, 1, 1]
    assert (await house.job(job))["suggestedCount"] == 6


async def test_all_that_it_suggested_is_undone_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.labelled(limit=1)
    before = await house.suggested()
    monkeypatch.setattr(auto_labelling, "MAX_SAMPLES", 2)
    monkeypatch.setattr(http_models, "BATCH", 2)
    house.answered[0] = choices("cat")
    job = await house.start()
    await house.work()
    undone = await house.client.mutate("undoChange", "change { summary }", jobId=job)
    assert undone["change"]["summary"] == "Undid: Auto labelling, 3 changes"
    assert await house.suggested() == before
    await house.client.check()


async def test_a_dataset_has_one_at_a_time(house: House) -> None:
    job = await house.start()
    refused = await house.client.refused(
        "startAutoLabeling", datasetId=house.client.dataset, model={"http": {"url": house.served.url}}
    )
    assert (refused["code"], refused["details"]["jobId"]) == ("DATASET_BUSY", job)
    await house.client.mutate("cancelJob", "job { status }", jobId=job)
    await house.start()


# -- wrong input


@pytest.mark.parametrize(
    ("input_", "code"),
    [
        ({"datasetId": "Dataset:999"}, "DATASET_NOT_FOUND"),
        ({"minConfidence": 1.5}, "VALIDATION_FAILED"),
        ({"minConfidence": -0.1}, "VALIDATION_FAILED"),
        ({"limit": -1}, "VALIDATION_FAILED"),
        ({"limit": 0}, "EMPTY_SELECTION"),
        ({"labels": ["bird"]}, "LABEL_NOT_FOUND"),
        ({"labelIds": ["Label:999"]}, "LABEL_NOT_FOUND"),
        ({"select": {"ids": []}}, "EMPTY_SELECTION"),
        ({"select": {"ids": ["Sample:999"]}}, "EMPTY_SELECTION"),
        ({"select": {"paths": ["none.jpg"]}}, "EMPTY_SELECTION"),
        ({"select": {"filter": {"state": "LABELED"}}}, "EMPTY_SELECTION"),
        ({"select": {"filter": {}}}, "VALIDATION_FAILED"),
        ({"model": {"http": {"url": "http://169.254.169.254/"}}}, "VALIDATION_FAILED"),
        ({"model": {"http": {"url": "nonsense"}}}, "VALIDATION_FAILED"),
        ({"model": {"onnx": {"path": "/etc/passwd"}}}, "INVALID_PATH"),
        ({"model": {"onnx": {"path": "../x.onnx"}}}, "INVALID_PATH"),
        ({"model": {"onnx": {"path": ""}}}, "INVALID_PATH"),
        ({"model": {"builtIn": False}}, "VALIDATION_FAILED"),
        ({"model": {"builtIn": True}}, "VALIDATION_FAILED"),
        ({"model": {}}, "BAD_USER_INPUT"),
    ],
)
async def test_what_makes_no_sense_starts_nothing(house: House, input_: dict[str, Any], code: str) -> None:
    values: dict[str, Any] = {"datasetId": house.client.dataset, "model": {"http": {"url": house.served.url}}} | input_
    refused = await house.client.refused("startAutoLabeling", **values)
    assert refused["code"] == code
    async with house.database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM job") == 0


async def test_a_file_is_looked_for_outside_of_transactions(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk may take long to answer."""
    transactions: list[int] = []

    async def file(*_: object) -> Path:
        async with house.database.reading() as reader:
            query = """SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"""
            transactions.append(await reader.fetchval(query))
        raise Invalid("There is none.", code="INVALID_PATH")

    monkeypatch.setattr(AllowedModels, "file", file)
    refused = await house.client.refused(
        "startAutoLabeling", datasetId=house.client.dataset, model={"onnx": {"path": "owls.onnx"}}
    )
    assert (refused["code"], transactions) == ("INVALID_PATH", [0])


async def test_a_request_that_was_carried_out_has_its_answer_whether_the_file_is_there_or_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = iter([Path("owls.onnx")])

    async def file(*_: object) -> Path:
        return next(files)

    monkeypatch.setattr(AllowedModels, "file", file)
    values: dict[str, Any] = {"datasetId": house.client.dataset, "model": {"onnx": {"path": "owls.onnx"}}}
    first = await house.client.mutate("startAutoLabeling", "job { id }", "key", **values)
    assert await house.client.mutate("startAutoLabeling", "job { id }", "key", **values) == first


async def test_a_named_model_has_a_name_that_can_be_shown(house: House) -> None:
    for http, code in (
        ({"name": " x"}, "INVALID_NAME"),
        ({"labelConfig": ""}, "VALIDATION_FAILED"),
        ({"labelConfig": "<View/>", "protocol": "LABELGRAPH"}, "VALIDATION_FAILED"),
    ):
        model = {"http": {"url": house.served.url, **http}}
        refused = await house.client.refused("startAutoLabeling", datasetId=house.client.dataset, model=model)
        assert refused["code"] == code
    await house.labelled(model={"http": {"url": house.served.url, "name": "yolo"}})
    models = {each["model"]["name"] for [each] in await house.annotations()}
    assert models == {"yolo"}


async def test_too_few_labelled_samples_are_told_by_label(house: House) -> None:
    await house.label("cat", 0, 1, 2, 3, 4)
    refused = await house.client.refused("startAutoLabeling", datasetId=house.client.dataset, model={"builtIn": True})
    assert refused["details"]["labels"] == [{"name": "cat", "sampleCount": 5}, {"name": "dog", "sampleCount": 0}]
    assert refused["details"]["least"] == 5


# -- workers


async def test_a_job_waits_for_a_worker_that_can_do_it(house: House) -> None:
    rows = house.client.dataset_rows
    async with house.database.writing() as session:
        job = await jobs.enqueue(
            session, rows.id, "AUTO_LABEL", requested_by="ann", arguments={"token_id": 1}, needs="VISION"
        )
        connection = await (await session.connection()).get_raw_connection()
        await connection.driver_connection.execute(  # type: ignore[union-attr]
            "INSERT INTO auto_label (job_id, dataset_id, model_kind, min_confidence) VALUES ($1, $2, 'BUILT_IN', 0.9)",
            job,
            rows.id,
        )
    id_ = f"AutoLabelJob:{job}"
    assert (await house.job(id_))["waitsFor"] == "VISION_WORKER"
    assert await jobs.claim(house.database, 7) is None
    async with house.database.reading() as able, jobs.register_worker(able, VISION):
        await jobs.sweep(house.database)
        assert (await house.job(id_))["waitsFor"] is None
        async with house.database.reading() as second, jobs.register_worker(second, VISION):
            pass
        await jobs.sweep(house.database)
        assert (await house.job(id_))["waitsFor"] is None, "the first is still there"
    await jobs.sweep(house.database)
    assert (await house.job(id_))["waitsFor"] == "VISION_WORKER"
    claim = await jobs.claim(house.database, 7, VISION)
    assert claim is not None
    assert (await house.job(id_))["waitsFor"] is None
