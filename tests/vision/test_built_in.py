"""Auto labelling by the built-in model, by a worker, on images of digits."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from db.auto_labelling import built_in, job_samples
from db.auto_labelling.built_in import BuiltIn, Lesson
from db.auto_labelling.features import Features
from db.jobs import Claim
from db.postgres import pgvector, sql
from db.postgres.engine import Database
from tests.client import Failed
from tests.conftest import ROOT
from tests.vision.house import LABEL, House, opened

DIGITS = ("0", "1", "7")
SIMILAR = """query ($id: ID!) { dataset(by: {id: $id}) {
    embeddingModels { name modelVersion dimension embeddingCount }
    samples(first: 18, orderBy: {field: PATH}) { nodes { path similar(first: 1) { sample { path } } } } } }"""
DISAGREE = """query ($id: ID!) { dataset(by: {id: $id}) { samples(
    filter: {suggestions: {disagreesWithLabels: true}}, orderBy: {field: SUGGESTION_CONFIDENCE, direction: DESC}
) { nodes { path annotations { confidence } } facets { hardCount } } } }"""
DELETE = "mutation ($input: DeleteEmbeddingsInput!) { deleteEmbeddings(input: $input) { deletedCount } }"
LABELLED = 5  # of six images of each digit


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    folder = tmp_path / "digits"
    for digit in DIGITS:
        for file in sorted((ROOT / "examples" / "digits" / digit).glob("*.JPG"))[: LABELLED + 1]:
            (folder / digit).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / digit / file.name)
    async with opened(database, tmp_path, folder) as house:
        for digit in DIGITS:
            await house.label(paths(folder, digit)[:LABELLED], digit)
        yield house


def paths(folder: Path, digit: str) -> list[str]:
    return sorted(f"{digit}/{file.name}" for file in (folder / digit).iterdir())


async def test_it_learns_says_how_good_it_is_and_suggests(house: House) -> None:
    await house.label([paths(house.folder, "0")[5]], "rare")
    job = await house.work()
    assert (job["status"], job["error"], job["skippedCount"]) == ("SUCCEEDED", None, 0)
    assert (job["sampleCount"], job["suggestedCount"], job["readCount"]) == (2, 2, 18)
    assert [(each["name"], each["sampleCount"]) for each in job["leftOutLabels"]] == [("rare", 1)]
    found = job["evaluation"]
    assert found["sampleCount"] == len(DIGITS) * LABELLED
    assert {each["name"]: each["support"] for each in found["labels"]} == dict.fromkeys(DIGITS, LABELLED)
    assert found["accuracy"] > 0.6, "a third is chance"
    assert sum(each["count"] for each in found["confusion"]) == len(DIGITS) * LABELLED
    assert [each["minConfidence"] for each in found["thresholds"]] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    assert await house.suggested() == {paths(house.folder, digit)[5]: [digit] for digit in ("1", "7")}
    assert job["model"]["name"] == "builtin"
    assert job["model"]["modelVersion"].startswith("15-")


async def test_progress_is_at_most_a_page_behind_the_images_that_are_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported, report = list[tuple[float, int]](), Claim.report

    def noted(claim: Claim, **figures: Any) -> None:
        report(claim, **figures)
        reported.append((claim.progress, claim.scanned))

    monkeypatch.setattr(Claim, "report", noted)
    monkeypatch.setattr(built_in, "PAGE", 1)
    await house.work()
    assert {scanned for _, scanned in reported} == set(range(19))
    assert [each for each in reported if each[0] < 0.99 * (each[1] - 1.001) / 18] == []


async def test_a_second_round_reads_no_image_and_is_the_same_model_until_it_learns_more(house: House) -> None:
    first = await house.work()
    aside = house.folder.rename(house.folder.with_name("aside"))
    second = await house.work()
    aside.rename(house.folder)
    assert (first["readCount"], second["readCount"]) == (18, 0)
    assert (second["model"], second["suggestedCount"]) == (first["model"], 3), "no file was there to be read"
    await house.label([paths(house.folder, "0")[5]], "0")
    third = await house.work()
    assert (third["readCount"], third["sampleCount"]) == (0, 2)
    assert third["model"]["modelVersion"].startswith("16-")
    changed = paths(house.folder, "1")[5]
    shutil.copy(house.folder / paths(house.folder, "7")[5], house.folder / changed)
    sync = "mutation ($id: ID!) { syncDataset(input: {datasetId: $id}) { job { id } } }"
    await house.ended((await house.client.execute(sync, {"id": house.dataset}))["syncDataset"]["job"]["id"])
    assert (await house.work())["readCount"] == 0, "the same content was seen under another path"
    assert (await house.suggested())[changed] == ["7"]


async def test_one_job_is_enough_to_find_similar_images_and_without_pgvector_it_does_all_else(
    house: House, database: Database
) -> None:
    assert await pgvector.enable(database.url)
    await house.work()
    found = (await house.client.execute(SIMILAR, {"id": house.dataset}))["dataset"]
    [model] = found["embeddingModels"]
    assert model == {"name": "builtin", "modelVersion": "efficientnet-lite0/1", "dimension": 1280, "embeddingCount": 18}
    nearest = [
        (node["path"][0], similar["sample"]["path"][0])
        for node in found["samples"]["nodes"]
        for similar in node["similar"]
    ]
    assert len(nearest) == 18
    assert sum(one == other for one, other in nearest) > 9, "a third is chance"
    await house.label([paths(house.folder, "0")[5]], "0")
    async with database.reading() as connection:
        stored = await connection.fetch("SELECT source_id, vector::text, xmin::text FROM embedding ORDER BY source_id")
        assert await house.work()
        again = await connection.fetch("SELECT source_id, vector::text, xmin::text FROM embedding ORDER BY source_id")
        assert stored == again, "nothing was stored twice"
    values = {"datasetId": house.dataset, "model": {name: model[name] for name in ("name", "modelVersion")}}
    await house.client.execute(DELETE, {"input": values})
    job = await house.work()
    assert job["readCount"] == 0
    assert (await house.client.execute(SIMILAR, {"id": house.dataset}))["dataset"] == found
    async with database.writing() as session:
        await sql.run(session, "DROP TABLE embedding")
    await house.label([paths(house.folder, "1")[5]], "1")
    job = await house.work()
    assert (job["status"], job["error"], job["suggestedCount"]) == ("SUCCEEDED", None, 1)


async def test_on_labelled_samples_it_suggests_where_it_disagrees(house: House) -> None:
    wrong = paths(house.folder, "1")[0]
    set_ = {"datasetId": house.dataset, "select": {"paths": [wrong]}, "labels": ["7"], "mode": "SET"}
    await house.client.execute(LABEL, {"input": set_})
    await house.label([paths(house.folder, "1")[5]], "1")
    job = await house.work(select={"all": True}, limit=15)
    suggested = await house.suggested()
    assert suggested[wrong] == ["1"], "it had not learned from this one"
    assert job["keptCount"] + job["suggestedCount"] == job["sampleCount"] == 15
    assert job["keptCount"] > 7
    samples = (await house.client.execute(DISAGREE, {"id": house.dataset}))["dataset"]["samples"]
    confidences = [max(each["confidence"] or 0 for each in node["annotations"]) for node in samples["nodes"]]
    assert wrong in [node["path"] for node in samples["nodes"]]
    assert confidences == sorted(confidences, reverse=True)
    assert samples["facets"]["hardCount"] == 0, "nothing is marked"


async def test_an_evaluation_alone_suggests_nothing(house: House) -> None:
    job = await house.work(limit=0)
    assert (job["status"], job["sampleCount"], job["model"]) == ("SUCCEEDED", 0, None)
    assert job["evaluation"]["sampleCount"] == 15
    assert await house.suggested() == {}


async def test_images_that_cannot_be_read_are_warnings(house: House) -> None:
    (house.folder / paths(house.folder, "0")[5]).unlink()
    (house.folder / "1" / paths(house.folder, "1")[5][2:]).write_bytes(b"no image")
    job = await house.work()
    assert (job["status"], job["suggestedCount"], job["skippedCount"]) == ("SUCCEEDED", 1, 2)
    assert len(job["warnings"]["nodes"]) == 2


async def test_it_ends_where_too_few_images_are_left_to_learn_from(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_samples, "MAX_EXAMPLES", 5)
    job = await house.work()
    assert (job["status"], job["error"]["code"], job["suggestedCount"]) == ("FAILED", "VALIDATION_FAILED", 0)
    assert "2 with `0`, 2 with `1`, 1 with `7`" in job["error"]["message"]


async def test_where_most_images_cannot_be_read_it_says_so(house: House) -> None:
    for digit in DIGITS:
        shutil.rmtree(house.folder / digit)
    job = await house.work()
    assert (job["status"], job["error"]["code"]) == ("FAILED", "VALIDATION_FAILED")
    assert re.search(r" 15 labelled images could not be read, such as `\d/\S+`: .+\.$", job["error"]["message"])


async def test_too_few_samples_are_refused(house: House) -> None:
    for digit in DIGITS[1:]:
        input_ = {"datasetId": house.dataset, "select": {"paths": paths(house.folder, digit)[:1]}, "labels": [digit]}
        await house.client.execute(LABEL, {"input": {**input_, "mode": "REMOVE"}})
    with pytest.raises(Failed) as refused:
        await house.work()
    assert refused.value.codes == ["VALIDATION_FAILED"]


def test_of_several_labels_each_is_suggested_of_one_only_the_likeliest() -> None:
    def model(*, several: bool) -> BuiltIn:
        lesson = Lesson((11, 12, 13), (), (), (), several, {})
        nothing: Any = None
        features = Features(nothing, nothing, nothing, "n")
        return BuiltIn(features, lesson, nothing, {}, "1", frozenset({11, 12}))

    row = (0.6, 0.7, 0.9)
    assert [guess.label for guess in model(several=True)._guesses(row, 0.5)] == [12, 11]
    assert model(several=False)._guesses(row, 0.5) == []
