"""createLabels, updateLabel, renameLabel, deleteLabels, as clients see them."""

from typing import Any

import pytest

from tests.db.dataset_rows import make
from tests.schema.mutation_fixture import Stage

ALL_HAN = "猫〇𠮷\U0003134a"
RENAMED = "label { id name sampleCount } affectedSamples change { kind summary } dataset { revision }"
DELETED = """
    deletedLabelIds affectedSamples deletedSamples deletedSources failedSources { path }
    warnings { sampleCount sharedSources datasets { name } }
    change { kind summary undoable } dataset { statistics { total labeled } labels { name sampleCount } }
"""


async def put(stage: Stage, *places: int, labels: list[str]) -> None:
    given: dict[str, Any] = {"datasetId": stage.dataset, "select": {"ids": stage.ids(*places)}, "labels": labels}
    await stage.do("labelSamples", "changed", **given)


async def create(stage: Stage, *labels: dict[str, Any]) -> Any:
    selection = "labels { id name color shortcut sampleCount annotationCount } dataset { revision labels { name } }"
    return await stage.do("createLabels", selection, datasetId=stage.dataset, labels=list(labels))


async def test_makes_labels_in_the_order_given(stage: Stage) -> None:
    payload = await create(stage, {"name": "zebra", "color": "#FF8800", "shortcut": "z"}, {"name": ALL_HAN})
    assert [(each["name"], each["color"], each["shortcut"]) for each in payload["labels"]] == [
        ("zebra", "#ff8800", "z"),
        (ALL_HAN, None, None),
    ]
    assert [each["name"] for each in payload["dataset"]["labels"]] == ["cat", "dog", "zebra", ALL_HAN]
    assert payload["dataset"]["revision"] == 2


async def test_names_differ_by_case_and_are_one_after_nfc(stage: Stage) -> None:
    await create(stage, {"name": "Cat"}, {"name": "DOG"}, {"name": "\uf900"})
    refused = await stage.refused("createLabels", datasetId=stage.dataset, labels=[{"name": "\u8c48"}])
    assert refused["code"] == "LABEL_ALREADY_EXISTS"


@pytest.mark.parametrize("name", ["a" * 32, "猫" * 32, "𠮷" * 32, "A-b_9"])
async def test_takes_names_of_up_to_32_characters(stage: Stage, name: str) -> None:
    payload = await create(stage, {"name": name})
    assert payload["labels"][0]["name"] == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 33,
        "猫" * 33,
        "a b",
        "a.b",
        "a,b",
        "a/b",
        "cat\n",
        "café",
        "кот",
        "ａ",
        "①",
        "²",
        "😀",
        "a\0",
        "\ud800",
    ],
)
async def test_refuses_a_bad_name_and_writes_nothing(stage: Stage, name: str) -> None:
    labels = [{"name": "fine"}, {"name": name}]
    refused = await stage.refused("createLabels", datasetId=stage.dataset, labels=labels)
    assert refused["code"] == "INVALID_NAME"


@pytest.mark.parametrize(
    ("labels", "code", "details"),
    [
        ([], "EMPTY_SELECTION", {}),
        ([{"name": "cat"}], "LABEL_ALREADY_EXISTS", {"names": ["cat"]}),
        ([{"name": "x"}, {"name": "x"}], "LABEL_ALREADY_EXISTS", {"names": ["x"]}),
        ([{"name": "x", "shortcut": "s"}, {"name": "y", "shortcut": "s"}],
         "SHORTCUT_ALREADY_EXISTS", {"shortcuts": ["s"]}),
        ([{"name": "x", "color": "red"}], "VALIDATION_FAILED", {}),
        ([{"name": "x", "color": "#ff88000"}], "VALIDATION_FAILED", {}),
        ([{"name": "x", "color": "#ff8800\n"}], "VALIDATION_FAILED", {}),
        ([{"name": "x", "shortcut": "ab"}], "VALIDATION_FAILED", {}),
        ([{"name": "x", "shortcut": ""}], "VALIDATION_FAILED", {}),
        ([{"name": "x", "shortcut": " "}], "VALIDATION_FAILED", {}),
        ([{"name": "x", "shortcut": "\0"}], "VALIDATION_FAILED", {}),
        ([{"name": "x", "shortcut": "\ud800"}], "VALIDATION_FAILED", {}),
        ([{"name": f"n{n}"} for n in range(1001)], "VALIDATION_FAILED", {"most": 1000, "given": 1001}),
    ],
)  # fmt: skip
async def test_what_making_labels_refuses(stage: Stage, labels: list[Any], code: str, details: dict[str, Any]) -> None:
    refused = await stage.refused("createLabels", datasetId=stage.dataset, labels=labels)
    assert (refused["code"], refused.get("details", {})) == (code, details)


async def test_a_shortcut_in_use_is_refused(stage: Stage) -> None:
    await create(stage, {"name": "x", "shortcut": "s"})
    refused = await stage.refused(
        "createLabels", datasetId=stage.dataset, labels=[{"name": "y"}, {"name": "z", "shortcut": "s"}]
    )
    assert (refused["code"], refused["modelartsCode"]) == ("SHORTCUT_ALREADY_EXISTS", "ModelArts.4412")
    refused = await stage.refused("updateLabel", labelId=stage.label("cat"), shortcut="s")
    assert refused["code"] == "SHORTCUT_ALREADY_EXISTS"


async def update(stage: Stage, **given: Any) -> Any:
    return (await stage.do("updateLabel", "label { name color shortcut }", labelId=stage.label("cat"), **given))[
        "label"
    ]


async def test_changes_what_is_given_clears_what_is_null_and_leaves_the_rest(stage: Stage) -> None:
    assert await update(stage, color="#AA0000", shortcut="c") == {"name": "cat", "color": "#aa0000", "shortcut": "c"}
    assert await update(stage, color=None) == {"name": "cat", "color": None, "shortcut": "c"}
    assert await update(stage, shortcut=None, color="#00ff00") == {"name": "cat", "color": "#00ff00", "shortcut": None}
    assert await stage.revision() == 4


async def test_what_is_so_already_is_no_change(stage: Stage) -> None:
    await update(stage, color="#aa0000")
    await update(stage, color="#AA0000")
    await update(stage)
    assert await stage.revision() == 2


async def test_a_shortcut_wanders_from_label_to_label(stage: Stage) -> None:
    await update(stage, shortcut="c")
    await update(stage, shortcut=None)
    dog = await stage.do("updateLabel", "label { shortcut }", labelId=stage.label("dog"), shortcut="c")
    assert dog == {"label": {"shortcut": "c"}}


async def rename(stage: Stage, name: str, to: str, **more: Any) -> Any:
    return await stage.do("renameLabel", RENAMED, labelId=stage.label(name), name=to, **more)


async def test_a_rename_is_seen_on_every_sample(stage: Stage) -> None:
    await put(stage, 0, 1, labels=["cat"])
    payload = await rename(stage, "cat", "lion")
    assert payload["label"] == {"id": stage.label("cat"), "name": "lion", "sampleCount": 2}
    assert (payload["affectedSamples"], payload["change"]["kind"]) == (2, "RENAME_LABEL")
    labelled = await stage.labelled()
    assert (labelled[0], labelled[1], labelled[2]) == (["lion"], ["lion"], [])
    await stage.check()


async def test_a_rename_to_its_own_name_changes_nothing(stage: Stage) -> None:
    await put(stage, 0, labels=["cat"])
    payload = await rename(stage, "cat", "cat")
    assert (payload["affectedSamples"], payload["change"], payload["dataset"]["revision"]) == (0, None, 2)


async def test_names_are_swapped_through_a_third(stage: Stage) -> None:
    await put(stage, 0, labels=["cat"])
    for name, to in (("cat", "x"), ("dog", "cat"), ("cat", "dog")):
        await rename(stage, name, to)
    assert (await stage.labelled())[0] == ["dog"]


async def test_a_rename_onto_a_name_in_use_is_refused(stage: Stage) -> None:
    for more in ({}, {"dryRun": True}):
        refused = await stage.refused("renameLabel", labelId=stage.label("cat"), name="dog", **more)
        assert (refused["code"], refused["details"]) == ("LABEL_ALREADY_EXISTS", {"names": ["dog"]})


async def test_a_merge_gives_samples_the_surviving_label_once(stage: Stage) -> None:
    await put(stage, 0, 1, labels=["cat"])
    await put(stage, 1, 2, labels=["dog"])
    told = await rename(stage, "cat", "dog", onConflict="MERGE", dryRun=True)
    assert (told["label"]["id"], told["affectedSamples"], told["change"]) == (stage.label("dog"), 2, None)
    payload = await rename(stage.as_somebody("bob"), "cat", "dog", onConflict="MERGE")
    assert payload["label"] == {"id": stage.label("dog"), "name": "dog", "sampleCount": 3}
    assert (payload["affectedSamples"], payload["change"]["summary"]) == (2, "Merged `cat` into `dog`")
    assert list((await stage.labelled()).values()) == [["dog"], ["dog"], ["dog"], [], [], []]
    query = "query ($id: ID!) { node(id: $id) { id } }"
    assert await stage.direct.execute(query, {"id": stage.label("cat")}) == {"node": None}
    await stage.check()


async def test_a_dry_rename_changes_nothing(stage: Stage) -> None:
    await put(stage, 0, labels=["cat"])
    payload = await rename(stage, "cat", "lion", dryRun=True)
    assert (payload["label"]["name"], payload["affectedSamples"], payload["change"]) == ("cat", 1, None)
    assert payload["dataset"]["revision"] == 2


async def test_a_rename_to_a_bad_name_is_refused(stage: Stage) -> None:
    refused = await stage.refused("renameLabel", labelId=stage.label("cat"), name="a b")
    assert refused["code"] == "INVALID_NAME"


@pytest.mark.parametrize("id", ["Label:999", "Sample:1", "", "\ud800", "Label:99999999999999999999"])
async def test_unknown_labels_are_not_found(stage: Stage, id: str) -> None:
    for field, given in (
        ("updateLabel", {"labelId": id}),
        ("renameLabel", {"labelId": id, "name": "x"}),
        ("deleteLabels", {"labelIds": [id], "mode": "LABEL_ONLY"}),
    ):
        refused = await stage.refused(field, **given)
        assert (refused["code"], refused["modelartsCode"]) == ("LABEL_NOT_FOUND", "ModelArts.4410")


async def test_a_confined_token_meets_no_label_of_others(stage: Stage) -> None:
    confined = stage.confined_to(999)
    query = "mutation ($input: RenameLabelInput!) { renameLabel(input: $input) { affectedSamples } }"
    answer = await confined.direct.answer(query, {"input": {"labelId": stage.label("cat"), "name": "x"}})
    assert answer["errors"][0]["extensions"]["code"] == "LABEL_NOT_FOUND"


async def delete(stage: Stage, *names: str, mode: str, **more: Any) -> Any:
    ids = [stage.label(name) for name in names]
    return await stage.do("deleteLabels", DELETED, labelIds=ids, mode=mode, **more)


async def test_deleting_a_label_alone_keeps_every_sample(stage: Stage) -> None:
    await put(stage, 0, 1, labels=["cat"])
    await put(stage, 1, labels=["dog"])
    payload = await delete(stage, "cat", mode="LABEL_ONLY")
    assert payload["deletedLabelIds"] == [stage.label("cat")]
    assert (payload["affectedSamples"], payload["deletedSamples"], payload["deletedSources"]) == (2, 0, 0)
    assert payload["dataset"]["statistics"] == {"total": 6, "labeled": 1}
    assert payload["dataset"]["labels"] == [{"name": "dog", "sampleCount": 1}]
    assert payload["change"] == {"kind": "DELETE_LABELS", "summary": "Deleted `cat`", "undoable": True}
    await stage.check()


async def test_samples_with_only_deleted_labels_go_and_unlabelled_ones_never(stage: Stage) -> None:
    await put(stage, 0, labels=["cat"])
    await put(stage, 1, labels=["cat", "dog"])
    await put(stage, 2, labels=["dog"])
    told = await delete(stage, "cat", mode="LABEL_AND_SAMPLES", dryRun=True)
    assert (told["affectedSamples"], told["deletedSamples"], told["change"]) == (2, 1, None)
    payload = await delete(stage, "cat", mode="LABEL_AND_SAMPLES")
    assert (payload["affectedSamples"], payload["deletedSamples"], payload["deletedSources"]) == (2, 1, 0)
    assert await stage.labelled() == {1: ["dog"], 2: ["dog"], 3: [], 4: [], 5: []}
    assert (stage.root / "images" / "000000.jpg").exists()
    await stage.check()


@pytest.mark.parametrize("together", [True, False])
async def test_several_at_once_or_one_after_another_is_the_same(stage: Stage, together: bool) -> None:
    await put(stage, 0, labels=["cat"])
    await put(stage, 1, labels=["cat", "dog"])
    for names in [("dog", "cat")] if together else [("dog",), ("cat",)]:
        await delete(stage, *names, mode="LABEL_AND_SAMPLES")
    assert await stage.labelled() == {2: [], 3: [], 4: [], 5: []}


async def test_the_third_mode_deletes_the_files_too(stage: Stage) -> None:
    await make(stage.direct.database, samples=1, name="same", input_path=str(stage.root / "images"))
    await put(stage, 0, 1, labels=["cat"])
    await put(stage, 1, labels=["dog"])
    told = await delete(stage, "cat", mode="LABEL_SAMPLES_AND_SOURCES", dryRun=True)
    assert (told["deletedSamples"], told["deletedSources"]) == (1, 1)
    assert told["warnings"] == [{"sampleCount": 1, "sharedSources": 1, "datasets": [{"name": "same"}]}]
    payload = await delete(stage, "cat", mode="LABEL_SAMPLES_AND_SOURCES")
    assert (payload["deletedSources"], payload["failedSources"], payload["change"]["undoable"]) == (1, [], False)
    assert payload["warnings"] == told["warnings"]
    assert not (stage.root / "images" / "000000.jpg").exists()
    assert (stage.root / "images" / "000001.jpg").exists()


async def test_what_deleting_labels_refuses(stage: Stage) -> None:
    other = await make(stage.direct.database, samples=1, labels=("cat",), name="other", input_path="/elsewhere")
    ids = [stage.label("cat"), f"Label:{other.labels['cat']}"]
    for given, code in (
        (ids, "VALIDATION_FAILED"),
        (ids[:1] * 1001, "VALIDATION_FAILED"),
        ([], "EMPTY_SELECTION"),
        ([ids[0], "x"], "LABEL_NOT_FOUND"),
    ):
        refused = await stage.refused("deleteLabels", labelIds=given, mode="LABEL_ONLY")
        assert refused["code"] == code


async def test_a_name_is_free_again_after_its_label_went(stage: Stage) -> None:
    await put(stage, 0, labels=["cat"])
    await delete(stage, "cat", mode="LABEL_ONLY")
    payload = await create(stage, {"name": "cat"})
    assert payload["labels"][0]["sampleCount"] == 0
    assert payload["labels"][0]["id"] != stage.label("cat")
