"""The names of uploaded files."""

import json

import pytest

from tests.api.uploads.upload_client import LOCAL_ONLY, UPLOAD, UploadClient
from tests.db.dataset_fixture import image_bytes


@LOCAL_ONLY
async def test_a_name_means_what_it_says_where_clients_do_not_encode_it(uploader: UploadClient) -> None:
    assert (await uploader.upload(("a%20b.png", image_bytes())))["results"][0]["sample"]["path"] == "a%20b.png"


NAMES = [
    "Screenshot 3.04.05\u202fPM.png",
    "全角\u3000空白.png",
    "\U0001f469\u200d\U0001f52c.png",
    "O'Brien.png",
    'cats & dogs <1> = "2"!.png',
]


async def test_names_are_taken_as_they_are(uploader: UploadClient) -> None:
    results = (await uploader.upload(*((name, image_bytes()) for name in NAMES if '"' not in name)))["results"]
    assert [result["sample"]["path"] for result in results] == [name for name in NAMES if '"' not in name]
    [composed] = (await uploader.upload(("cafe\u0301.png", image_bytes())))["results"]
    assert composed["sample"]["path"] == "caf\u00e9.png"


REQUEST = """mutation ($input: RequestUploadsInput!) { requestUploads(input: $input) {
    results { path error { code message } } } }"""


@LOCAL_ONLY
@pytest.mark.parametrize("name", NAMES)
async def test_both_ways_to_upload_have_one_rule_for_names(uploader: UploadClient, name: str) -> None:
    values = {"datasetId": uploader.dataset, "files": [{"key": "k", "fileName": name, "size": 9}]}
    [ticket] = (await uploader.client.execute(REQUEST, {"input": values}))["requestUploads"]["results"]
    assert ticket == {"path": name, "error": None}


@LOCAL_ONLY
@pytest.mark.parametrize(
    ("name", "point"),
    [("a\u202eb.png", "U+202E"), ("a\u0007b.png", "U+0007"), ("a/b.png", "U+002F"), ("a\u2028b.png", "U+2028")],
)
async def test_a_refused_name_is_reported_with_its_character(uploader: UploadClient, name: str, point: str) -> None:
    values = {"datasetId": uploader.dataset, "files": [{"key": "k", "fileName": name, "size": 9}]}
    [ticket] = (await uploader.client.execute(REQUEST, {"input": values}))["requestUploads"]["results"]
    assert ticket["error"]["code"] == "INVALID_NAME"
    assert point in ticket["error"]["message"]
    assert "character 2" in ticket["error"]["message"]


async def test_files_of_one_name_are_numbered_in_the_order_of_the_request(uploader: UploadClient) -> None:
    """The first takes longest to be looked at."""
    sizes = [(1200, 1200), (900, 900), (600, 600), *[(8, 6)] * 7]
    files = [("cat.png", image_bytes(size=size)) for size in sizes]
    files.insert(5, ("cat-1.png", image_bytes()))
    results = (await uploader.upload(*files, onConflict="RENAME"))["results"]
    paths = [result["sample"]["path"] for result in results]
    expected = [
        "cat.png",
        *(f"cat-{n}.png" for n in range(1, 5)),
        "cat-1-1.png",
        *(f"cat-{n}.png" for n in range(5, 10)),
    ]
    assert paths == expected


async def test_a_name_too_long_for_its_number_is_cut_between_characters(uploader: UploadClient) -> None:
    name = "長" * 83 + "aa.png"
    results = (await uploader.upload(*((name, image_bytes()) for _ in range(3)), onConflict="RENAME"))["results"]
    cut = "長" * 83
    assert [result["sample"]["path"] for result in results] == [name, f"{cut}-1.png", f"{cut}-2.png"]
    assert await uploader.listed() == sorted([name, f"{cut}-1.png", f"{cut}-2.png"])


@LOCAL_ONLY
@pytest.mark.parametrize(
    ("disposition", "path"),
    [
        ("filename*=UTF-8''%E6%97%A5%E6%9C%AC.png", "日本.png"),
        ("filename=\"x.png\"; filename*=utf-8'ja'%E6%97%A5%E6%9C%AC.png", "日本.png"),
        ("filename*=iso-8859-1''caf%E9.png; filename=\"x.png\"", "café.png"),
        ('filename="日本.png"', "日本.png"),
        ('filename="a\\"b.png"', 'a"b.png'),
        ("filename=\"a; filename*=UTF-8''b.png\"", "a; filename*=UTF-8''b.png"),
        ("filename*=UTF-8''", None),
        ("filename*=koi8-r''x.png", None),
    ],
)
async def test_a_file_name_may_be_extended(uploader: UploadClient, disposition: str, path: str | None) -> None:
    values = {"datasetId": uploader.dataset, "files": [None]}
    parts = [
        ('name="operations"', json.dumps({"query": UPLOAD, "variables": {"input": values}}).encode()),
        ('name="map"', b'{"0": ["variables.input.files.0"]}'),
        (f'name="0"; {disposition}', image_bytes()),
    ]
    body = b"".join(b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (h.encode(), d) for h, d in parts)
    headers = {"content-type": "multipart/form-data; boundary=x", "graphql-require-preflight": "1"}
    response = await uploader.client.request(content=body + b"--x--\r\n", headers=headers)
    if path is None:
        assert response.status_code == 400
    else:
        assert response.json()["data"]["uploadSamples"]["results"][0]["sample"]["path"] == path


async def test_a_name_is_one_name(uploader: UploadClient) -> None:
    names = ["../a.png", "..\\a.png", "a/b.png", "/etc/a.png", ".a.png", "é" * 130 + ".png"]
    assert await uploader.codes(*((name, image_bytes()) for name in names)) == ["INVALID_NAME"] * len(names)
    assert await uploader.listed() == []


async def test_a_name_that_postgres_cannot_hold_is_refused_for_itself_under_an_idempotency_key_too(
    uploader: UploadClient,
) -> None:
    values = {"datasetId": uploader.dataset, "files": [None, None]}
    paths = {str(n): [f"variables.input.files.{n}"] for n in range(2)}
    files = [("0", ("a%00.png", image_bytes())), ("1", ("b.png", image_bytes()))]
    for _ in range(2):
        operations = {"query": UPLOAD, "variables": {"input": values}}
        answer = (await uploader.send(operations, paths, files, idempotency_key="k", user_agent="aiohttp/3")).json()
        results = answer["data"]["uploadSamples"]["results"]
        assert [result["error"] and result["error"]["code"] for result in results] == ["INVALID_NAME", None]


EXCLUDE = "mutation ($input: UpdateDatasetInput!) { updateDataset(input: $input) { dataset { id } } }"


@LOCAL_ONLY
async def test_a_name_that_the_dataset_excludes_is_refused(uploader: UploadClient) -> None:
    await uploader.client.execute(EXCLUDE, {"input": {"datasetId": uploader.dataset, "exclude": ["**/*_mask.png"]}})
    refused, taken = (await uploader.upload(("a_mask.png", image_bytes()), ("a.png", image_bytes())))["results"]
    assert (refused["sample"], refused["error"]["code"]) == (None, "INVALID_NAME")
    assert "excludes files of this name" in refused["error"]["message"]
    assert taken["sample"]["path"] == "a.png"
    files = [{"key": name, "fileName": name, "size": 9} for name in ("b_mask.png", "b.png")]
    values = {"datasetId": uploader.dataset, "files": files}
    tickets = (await uploader.client.execute(REQUEST, {"input": values}))["requestUploads"]["results"]
    assert [(each["path"], each["error"] and each["error"]["code"]) for each in tickets] == [
        (None, "INVALID_NAME"),
        ("b.png", None),
    ]
