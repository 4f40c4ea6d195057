"""createLabels, updateLabel, renameLabel, deleteLabels, as clients see them."""

from typing import Any

import pytest

from tests.db.dataset_rows import make
from tests.schema.mutation_fixture import DatasetClient

ALL_HAN = "猫〇𠮷\U0003134a"
RENAMED = "label { id name sampleCount } affectedSampleCount change { kind summary } dataset { revision }"
DELETED = """
    deletedLabelIds affectedSampleCount deletedSampleCount deletedSourceCount failedSources { path }
    impacts { sampleCount sharedSourceCount datasets { name } }
    change { kind summary isUndoable } dataset { statistics { totalCount labeledCount } labels { name sampleCount } }
"""


async def put(client: DatasetClient, *positions: int, labels: list[str]) -> None:
    input_: dict[str, Any] = {"datasetId": client.dataset, "select": {"ids": client.ids(*positions)}, "labels": labels}
    await client.mutate("labelSamples", "changedCount", **input_)


async def create(client: DatasetClient, *labels: dict[str, Any]) -> Any:
    selection = "labels { id name color shortcut sampleCount annotationCount } dataset { revision labels { name } }"
    return await client.mutate("createLabels", selection, datasetId=client.dataset, labels=list(labels))


async def test_makes_labels_in_the_order_given(client: DatasetClient) -> None:
    payload = await create(client, {"name": "zebra", "color": "#FF8800", "shortcut": "z"}, {"name": ALL_HAN})
    assert [(each["name"], each["color"], each["shortcut"]) for each in payload["labels"]] == [
        ("zebra", "#ff8800", "z"),
        (ALL_HAN, None, None),
    ]
    assert [each["name"] for each in payload["dataset"]["labels"]] == ["cat", "dog", "zebra", ALL_HAN]
    assert payload["dataset"]["revision"] == 2


async def test_names_differ_by_case_and_are_one_after_nfc(client: DatasetClient) -> None:
    await create(client, {"name": "Cat"}, {"name": "DOG"}, {"name": "\uf900"})
    refused = await client.refused("createLabels", datasetId=client.dataset, labels=[{"name": "\u8c48"}])
    assert refused["code"] == "LABEL_ALREADY_EXISTS"


@pytest.mark.parametrize("name", ["a" * 32, "猫" * 32, "𠮷" * 32, "A-b_9"])
async def test_takes_names_of_up_to_32_characters(client: DatasetClient, name: str) -> None:
    payload = await create(client, {"name": name})
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
async def test_refuses_a_bad_name_and_writes_nothing(client: DatasetClient, name: str) -> None:
    labels = [{"name": "fine"}, {"name": name}]
    refused = await client.refused("createLabels", datasetId=client.dataset, labels=labels)
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
async def test_what_making_labels_refuses(
    client: DatasetClient, labels: list[Any], code: str, details: dict[str, Any]
) -> None:
    refused = await client.refused("createLabels", datasetId=client.dataset, labels=labels)
    assert (refused["code"], refused.get("details", {})) == (code, details)


async def test_a_shortcut_in_use_is_refused(client: DatasetClient) -> None:
    await create(client, {"name": "x", "shortcut": "s"})
    refused = await client.refused(
        "createLabels", datasetId=client.dataset, labels=[{"name": "y"}, {"name": "z", "shortcut": "s"}]
    )
    assert (refused["code"], refused["modelartsCode"]) == ("SHORTCUT_ALREADY_EXISTS", "ModelArts.4412")
    refused = await client.refused("updateLabel", labelId=client.label("cat"), shortcut="s")
    assert refused["code"] == "SHORTCUT_ALREADY_EXISTS"


async def update(client: DatasetClient, **input_: Any) -> Any:
    return (await client.mutate("updateLabel", "label { name color shortcut }", labelId=client.label("cat"), **input_))[
        "label"
    ]


async def test_changes_what_is_given_clears_what_is_null_and_leaves_the_rest(client: DatasetClient) -> None:
    assert await update(client, color="#AA0000", shortcut="c") == {"name": "cat", "color": "#aa0000", "shortcut": "c"}
    assert await update(client, color=None) == {"name": "cat", "color": None, "shortcut": "c"}
    assert await update(client, shortcut=None, color="#00ff00") == {"name": "cat", "color": "#00ff00", "shortcut": None}
    assert await client.revision() == 4


async def test_what_is_so_already_is_no_change(client: DatasetClient) -> None:
    await update(client, color="#aa0000")
    await update(client, color="#AA0000")
    await update(client)
    assert await client.revision() == 2


async def test_a_shortcut_wanders_from_label_to_label(client: DatasetClient) -> None:
    await update(client, shortcut="c")
    await update(client, shortcut=None)
    dog = await client.mutate("updateLabel", "label { shortcut }", labelId=client.label("dog"), shortcut="c")
    assert dog == {"label": {"shortcut": "c"}}


async def rename(client: DatasetClient, name: str, to: str, **more: Any) -> Any:
    return await client.mutate("renameLabel", RENAMED, labelId=client.label(name), name=to, **more)


async def test_a_rename_is_seen_on_every_sample(client: DatasetClient) -> None:
    await put(client, 0, 1, labels=["cat"])
    payload = await rename(client, "cat", "lion")
    assert payload["label"] == {"id": client.label("cat"), "name": "lion", "sampleCount": 2}
    assert (payload["affectedSampleCount"], payload["change"]["kind"]) == (2, "RENAME_LABEL")
    labelled = await client.labelled()
    assert (labelled[0], labelled[1], labelled[2]) == (["lion"], ["lion"], [])
    await client.check()


async def test_a_rename_to_its_own_name_changes_nothing(client: DatasetClient) -> None:
    await put(client, 0, labels=["cat"])
    payload = await rename(client, "cat", "cat")
    assert (payload["affectedSampleCount"], payload["change"], payload["dataset"]["revision"]) == (0, None, 2)


async def test_names_are_swapped_through_a_third(client: DatasetClient) -> None:
    await put(client, 0, labels=["cat"])
    for name, to in (("cat", "x"), ("dog", "cat"), ("cat", "dog")):
        await rename(client, name, to)
    assert (await client.labelled())[0] == ["dog"]


async def test_a_rename_onto_a_name_in_use_is_refused(client: DatasetClient) -> None:
    for more in ({}, {"dryRun": True}):
        refused = await client.refused("renameLabel", labelId=client.label("cat"), name="dog", **more)
        assert (refused["code"], refused["details"]) == ("LABEL_ALREADY_EXISTS", {"names": ["dog"]})


async def test_a_merge_gives_samples_the_surviving_label_once(client: DatasetClient) -> None:
    await put(client, 0, 1, labels=["cat"])
    await put(client, 1, 2, labels=["dog"])
    planned = await rename(client, "cat", "dog", onConflict="MERGE", dryRun=True)
    assert (planned["label"]["id"], planned["affectedSampleCount"], planned["change"]) == (client.label("dog"), 2, None)
    payload = await rename(client.as_somebody("bob"), "cat", "dog", onConflict="MERGE")
    assert payload["label"] == {"id": client.label("dog"), "name": "dog", "sampleCount": 3}
    assert (payload["affectedSampleCount"], payload["change"]["summary"]) == (2, "Merged `cat` into `dog`")
    assert list((await client.labelled()).values()) == [["dog"], ["dog"], ["dog"], [], [], []]
    query = "query ($id: ID!) { node(id: $id) { id } }"
    assert await client.direct.execute(query, {"id": client.label("cat")}) == {"node": None}
    await client.check()


async def test_a_dry_rename_changes_nothing(client: DatasetClient) -> None:
    await put(client, 0, labels=["cat"])
    payload = await rename(client, "cat", "lion", dryRun=True)
    assert (payload["label"]["name"], payload["affectedSampleCount"], payload["change"]) == ("cat", 1, None)
    assert payload["dataset"]["revision"] == 2


async def test_a_rename_to_a_bad_name_is_refused(client: DatasetClient) -> None:
    refused = await client.refused("renameLabel", labelId=client.label("cat"), name="a b")
    assert refused["code"] == "INVALID_NAME"


@pytest.mark.parametrize("id", ["Label:999", "Sample:1", "", "\ud800", "Label:99999999999999999999"])
async def test_unknown_labels_are_not_found(client: DatasetClient, id: str) -> None:
    for field, input_ in (
        ("updateLabel", {"labelId": id}),
        ("renameLabel", {"labelId": id, "name": "x"}),
        ("deleteLabels", {"labelIds": [id], "mode": "LABEL_ONLY"}),
    ):
        refused = await client.refused(field, **input_)
        assert (refused["code"], refused["modelartsCode"]) == ("LABEL_NOT_FOUND", "ModelArts.4410")


async def test_a_confined_token_meets_no_label_of_others(client: DatasetClient) -> None:
    confined = client.confined_to(999)
    query = "mutation ($input: RenameLabelInput!) { renameLabel(input: $input) { affectedSampleCount } }"
    answer = await confined.direct.answer(query, {"input": {"labelId": client.label("cat"), "name": "x"}})
    assert answer["errors"][0]["extensions"]["code"] == "LABEL_NOT_FOUND"


async def delete(client: DatasetClient, *names: str, mode: str, **more: Any) -> Any:
    ids = [client.label(name) for name in names]
    return await client.mutate("deleteLabels", DELETED, labelIds=ids, mode=mode, **more)


async def test_deleting_a_label_alone_keeps_every_sample(client: DatasetClient) -> None:
    await put(client, 0, 1, labels=["cat"])
    await put(client, 1, labels=["dog"])
    payload = await delete(client, "cat", mode="LABEL_ONLY")
    assert payload["deletedLabelIds"] == [client.label("cat")]
    assert (payload["affectedSampleCount"], payload["deletedSampleCount"], payload["deletedSourceCount"]) == (2, 0, 0)
    assert payload["dataset"]["statistics"] == {"totalCount": 6, "labeledCount": 1}
    assert payload["dataset"]["labels"] == [{"name": "dog", "sampleCount": 1}]
    assert payload["change"] == {"kind": "DELETE_LABELS", "summary": "Deleted `cat`", "isUndoable": True}
    await client.check()


async def test_samples_with_only_deleted_labels_go_and_unlabelled_ones_never(client: DatasetClient) -> None:
    await put(client, 0, labels=["cat"])
    await put(client, 1, labels=["cat", "dog"])
    await put(client, 2, labels=["dog"])
    planned = await delete(client, "cat", mode="LABEL_AND_SAMPLES", dryRun=True)
    assert (planned["affectedSampleCount"], planned["deletedSampleCount"], planned["change"]) == (2, 1, None)
    payload = await delete(client, "cat", mode="LABEL_AND_SAMPLES")
    assert (payload["affectedSampleCount"], payload["deletedSampleCount"], payload["deletedSourceCount"]) == (2, 1, 0)
    assert await client.labelled() == {1: ["dog"], 2: ["dog"], 3: [], 4: [], 5: []}
    assert (client.root / "images" / "000000.jpg").exists()
    await client.check()


@pytest.mark.parametrize("at_once", [True, False])
async def test_several_at_once_or_one_after_another_is_the_same(client: DatasetClient, at_once: bool) -> None:
    await put(client, 0, labels=["cat"])
    await put(client, 1, labels=["cat", "dog"])
    for names in [("dog", "cat")] if at_once else [("dog",), ("cat",)]:
        await delete(client, *names, mode="LABEL_AND_SAMPLES")
    assert await client.labelled() == {2: [], 3: [], 4: [], 5: []}


async def test_the_third_mode_deletes_the_files_too(client: DatasetClient) -> None:
    await make(client.direct.database, samples=1, name="same", input_path=str(client.root / "images"))
    await put(client, 0, 1, labels=["cat"])
    await put(client, 1, labels=["dog"])
    planned = await delete(client, "cat", mode="LABEL_SAMPLES_AND_SOURCES", dryRun=True)
    assert (planned["deletedSampleCount"], planned["deletedSourceCount"]) == (1, 1)
    assert planned["impacts"] == [{"sampleCount": 1, "sharedSourceCount": 1, "datasets": [{"name": "same"}]}]
    payload = await delete(client, "cat", mode="LABEL_SAMPLES_AND_SOURCES")
    assert (payload["deletedSourceCount"], payload["failedSources"], payload["change"]["isUndoable"]) == (1, [], False)
    assert payload["impacts"] == planned["impacts"]
    assert not (client.root / "images" / "000000.jpg").exists()
    assert (client.root / "images" / "000001.jpg").exists()


async def test_what_deleting_labels_refuses(client: DatasetClient) -> None:
    other = await make(client.direct.database, samples=1, labels=("cat",), name="other", input_path="/elsewhere")
    ids = [client.label("cat"), f"Label:{other.labels['cat']}"]
    for input_, code in (
        (ids, "VALIDATION_FAILED"),
        (ids[:1] * 1001, "VALIDATION_FAILED"),
        ([], "EMPTY_SELECTION"),
        ([ids[0], "x"], "LABEL_NOT_FOUND"),
    ):
        refused = await client.refused("deleteLabels", labelIds=input_, mode="LABEL_ONLY")
        assert refused["code"] == code


async def test_a_name_is_free_again_after_its_label_went(client: DatasetClient) -> None:
    await put(client, 0, labels=["cat"])
    await delete(client, "cat", mode="LABEL_ONLY")
    payload = await create(client, {"name": "cat"})
    assert payload["labels"][0]["sampleCount"] == 0
    assert payload["labels"][0]["id"] != client.label("cat")


async def test_a_payload_is_read_with_a_variable_of_any_name(client: DatasetClient) -> None:
    source = """mutation ($id: ID!, $reference: String!) { renameLabel(input: {labelId: $id, name: "kitten"}) {
        dataset { label(name: $reference) { name } } } }"""
    data = await client.direct.execute(source, {"id": client.label("cat"), "reference": "dog"})
    assert data["renameLabel"] == {"dataset": {"label": {"name": "dog"}}}


async def test_of_two_mutations_the_first_keeps_its_answer_when_the_second_is_refused(client: DatasetClient) -> None:
    document = """mutation ($one: RenameLabelInput!, $two: RenameLabelInput!) {
        one: renameLabel(input: $one) { label { name } } two: renameLabel(input: $two) { label { name } } }"""
    variables = {
        "one": {"labelId": client.label("cat"), "name": "Feline"},
        "two": {"labelId": client.label("dog"), "name": "Feline"},
    }
    answer = await client.direct.answer(document, variables)
    assert answer["data"] == {"one": {"label": {"name": "Feline"}}, "two": None}
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["two"], "LABEL_ALREADY_EXISTS")
