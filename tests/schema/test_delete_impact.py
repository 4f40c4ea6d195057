"""What deleting source files means for others, asked beforehand."""

from typing import Any

from tests.schema.mutation_fixture import Stage

IMPACT = """query ($d: ID!, $s: SampleSelection!) { dataset(by: {id: $d}) { deleteImpact(select: $s) {
    sampleCount sharedSources versions { name } datasets { name } } } }"""


async def impact(stage: Stage, **select: Any) -> Any:
    found = await stage.direct.execute(IMPACT, {"d": stage.dataset, "s": select})
    return found["dataset"]["deleteImpact"]


async def delete(stage: Stage, *places: int) -> None:
    await stage.do("deleteSamples", "deleted", datasetId=stage.dataset, select={"ids": stage.ids(*places)})


async def test_versions_that_show_a_file_are_named(stage: Stage) -> None:
    await stage.do("publishVersion", "version { id }", datasetId=stage.dataset, name="all")
    await delete(stage, 0, 1)
    await stage.do("publishVersion", "version { id }", datasetId=stage.dataset, name="four")
    expected = {"sampleCount": 2, "sharedSources": 0, "versions": [{"name": "four"}, {"name": "all"}], "datasets": []}
    assert await impact(stage, ids=stage.ids(2, 3)) == expected
    assert (await impact(stage, filter={}))["sampleCount"] == 4
    assert (await impact(stage, filter={"labels": {"names": ["cat"]}}))["versions"] == []


async def test_a_sample_that_was_changed_since_still_counts(stage: Stage) -> None:
    await stage.do("publishVersion", "version { id }", datasetId=stage.dataset)
    select = {"ids": stage.ids(0)}
    await stage.do("labelSamples", "changed", datasetId=stage.dataset, select=select, labels=["cat"])
    assert (await impact(stage, ids=stage.ids(0)))["versions"] == [{"name": "V001"}]


async def test_it_says_the_same_as_a_dry_run(stage: Stage) -> None:
    await stage.do("publishVersion", "version { id }", datasetId=stage.dataset)
    payload = await stage.do(
        "deleteSamples",
        "warnings { sampleCount sharedSources versions { name } datasets { name } }",
        datasetId=stage.dataset,
        select={"ids": stage.ids(0, 1)},
        deleteSources=True,
        dryRun=True,
    )
    assert payload["warnings"] == [await impact(stage, ids=stage.ids(0, 1))]


async def test_an_empty_selection_is_refused(stage: Stage) -> None:
    answer = await stage.direct.answer(IMPACT, {"d": stage.dataset, "s": {"ids": []}})
    assert answer["errors"][0]["extensions"]["code"] == "EMPTY_SELECTION"
