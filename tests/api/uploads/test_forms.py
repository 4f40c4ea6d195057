"""The multipart request specification."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gql as gql_client
import pytest
from gql import FileVar, gql
from gql.transport.aiohttp import AIOHTTPTransport

from tests.api.uploads.upload_client import LOCAL_ONLY, UPLOAD, UploadClient
from tests.client import Client
from tests.db.dataset_fixture import image_bytes


@LOCAL_ONLY
async def test_a_form_without_a_preflight_header_is_refused(uploader: UploadClient) -> None:
    values = {"datasetId": uploader.dataset, "files": [None]}
    fields = {
        "operations": json.dumps({"query": UPLOAD, "variables": {"input": values}}),
        "map": json.dumps({"0": ["variables.input.files.0"]}),
    }
    response = await uploader.client.request(data=fields, files=[("0", ("a.png", image_bytes()))])
    assert response.status_code == 400
    assert "GraphQL-Require-Preflight" in response.json()["errors"][0]["message"]
    assert await uploader.listed() == []


@LOCAL_ONLY
@pytest.mark.parametrize(
    ("operations", "paths"),
    [
        ([], {"0": ["variables.input.files.0"]}),
        ({"query": UPLOAD, "variables": {}}, {"0": ["variables.input.files.0"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"1": ["variables.input.files.0"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": ["query"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": ["variables.input.files.7"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": ["variables.input.files.-1"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": ["x"]}}}, {"0": ["variables.input.files.0"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": []}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": 7}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, ["0"]),
    ],
)
async def test_a_form_that_makes_no_sense_is_a_bad_request(uploader: UploadClient, operations: Any, paths: Any) -> None:
    response = await uploader.send(operations, paths, [("0", ("a.png", image_bytes()))])
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@LOCAL_ONLY
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"rubbish"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"que'),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x--"),
    ],
)
async def test_a_broken_form_is_a_bad_request(uploader: UploadClient, kind: str, body: bytes) -> None:
    headers = {"content-type": kind, "graphql-require-preflight": "1"}
    response = await uploader.client.request(content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@LOCAL_ONLY
async def test_no_files_is_an_empty_selection(uploader: UploadClient) -> None:
    values = {"datasetId": uploader.dataset, "files": []}
    answer = (await uploader.client.post(UPLOAD, {"input": values})).json()
    assert answer["errors"][0]["extensions"]["code"] == "EMPTY_SELECTION"


@LOCAL_ONLY
async def test_a_text_is_no_file(uploader: UploadClient) -> None:
    values = {"datasetId": uploader.dataset, "files": ["data:image/png;base64,AAAA"]}
    answer = (await uploader.client.post(UPLOAD, {"input": values})).json()
    assert "Upload takes a file" in answer["errors"][0]["message"]
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_file_may_stand_in_two_places(uploader: UploadClient) -> None:
    values = {"datasetId": uploader.dataset, "files": [None, None], "onConflict": "RENAME"}
    paths = {"0": ["variables.input.files.0", "variables.input.files.1"]}
    data = image_bytes()
    response = await uploader.send({"query": UPLOAD, "variables": {"input": values}}, paths, [("0", ("a.png", data))])
    results = response.json()["data"]["uploadSamples"]["results"]
    assert {result["sample"]["path"] for result in results} == {"a.png", "a-1.png"}
    assert [await uploader.store.read(path) for path in ("a.png", "a-1.png")] == [data, data]


@LOCAL_ONLY
async def test_nobody_sends_files_without_a_token(uploader: UploadClient) -> None:
    stranger = replace(uploader, client=Client(uploader.client.url))
    answer = await stranger.answer(("a.png", image_bytes()))
    assert (answer["status"], answer["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert await uploader.listed() == []


@LOCAL_ONLY
async def test_a_stock_client_uploads(uploader: UploadClient, tmp_path: Path) -> None:
    picked = tmp_path / "picked (1)+é%20.png"
    picked.write_bytes(image_bytes())
    headers = uploader.client.headers | {"GraphQL-Require-Preflight": "true"}
    transport = AIOHTTPTransport(url=f"{uploader.client.url}/graphql", headers=headers)
    query = gql(UPLOAD)
    query.variable_values = {"input": {"datasetId": uploader.dataset, "files": [FileVar(str(picked))]}}
    async with gql_client.Client(transport=transport) as session:
        payload = await session.execute(query, upload_files=True)
    assert payload["uploadSamples"]["results"][0]["sample"]["path"] == picked.name
