"""Python's gql: validated by the schema, over HTTP and WebSocket, with uploads and its query builder."""

import unittest
from typing import Any

from gql import Client, FileVar, GraphQLRequest
from gql.client import AsyncClientSession
from gql.dsl import DSLInlineFragment, DSLQuery, DSLSchema, dsl_gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.async_transport import AsyncTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from graphql import GraphQLError

from tests.clients.python.operations import DATASET, HEADERS, IMAGE, OPERATIONS, SCHEMA, SOCKET_URL, TIMEOUT, TOKEN, URL


def request(name: str, **variables: Any) -> GraphQLRequest:
    return GraphQLRequest(OPERATIONS[name], variable_values=variables)


def http() -> AIOHTTPTransport:
    return AIOHTTPTransport(URL, headers=HEADERS, timeout=TIMEOUT)


def websocket() -> WebsocketsTransport:
    timeouts: dict[str, Any] = dict.fromkeys(("connect_timeout", "ack_timeout", "close_timeout"), TIMEOUT)
    return WebsocketsTransport(SOCKET_URL, init_payload={"Authorization": f"Bearer {TOKEN}"}, **timeouts)


def connect(transport: AsyncTransport) -> Client:
    """A client that validates each document against the schema that the server shows."""
    return Client(transport=transport, fetch_schema_from_transport=True, parse_results=True, execute_timeout=TIMEOUT)


async def samples(session: AsyncClientSession, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = await session.execute(request("Samples", dataset=DATASET, **variables))
    return dict(found["dataset"]["samples"])


class Gql(unittest.IsolatedAsyncioTestCase):
    async def test_pages_reach_every_sample_once(self) -> None:
        for transport in (http(), websocket()):
            async with connect(transport) as session:
                page = await samples(session, first=25)
                paths = [edge["node"]["path"] for edge in page["edges"]]
                while page["pageInfo"]["hasNextPage"]:
                    page = await samples(session, first=25, after=page["pageInfo"]["endCursor"])
                    paths += [edge["node"]["path"] for edge in page["edges"]]
                assert len(set(paths)) == len(paths) == page["totalCount"], paths

    async def test_a_document_that_does_not_fit_the_schema_is_not_sent(self) -> None:
        local = Client(schema=SCHEMA.read_text(), transport=http())
        async with local as session:
            with self.assertRaises(GraphQLError):
                await session.execute(GraphQLRequest("{ nothing }"))
            assert "viewer" in await session.execute(request("WhoAmI"))

    async def test_a_refused_mutation_raises_its_errors_with_their_codes(self) -> None:
        async with connect(http()) as session:
            with self.assertRaises(TransportQueryError) as refused:
                await session.execute(
                    request("LabelSamples", dataset="Dataset:999999", samples=["Sample:1"], labels=["a"])
                )
        errors = refused.exception.errors or []
        assert errors[0]["extensions"]["code"] == "DATASET_NOT_FOUND", errors

    async def test_the_query_builder_knows_inputs_unions_and_enums(self) -> None:
        async with connect(http()) as session:
            assert session.client.schema is not None
            ds = DSLSchema(session.client.schema)
            box = DSLInlineFragment().on(ds.BoundingBox).select(ds.BoundingBox.xMin)
            shape = ds.Annotation.shape.select(box)
            nodes = ds.SampleConnection.nodes.select(
                ds.Sample.state, ds.Sample.addedAt, ds.Sample.annotations.select(shape)
            )
            found = ds.Dataset.samples(first=1, filter={"state": "LABELED"}).select(nodes)
            query = dsl_gql(DSLQuery(ds.Query.dataset(by={"id": DATASET}).select(found)))
            [sample] = (await session.execute(query))["dataset"]["samples"]["nodes"]
        assert sample["state"] == "LABELED", sample

    async def test_files_are_uploaded_as_they_are_read(self) -> None:
        file = FileVar(str(IMAGE), filename="from gql.jpg", content_type="image/jpeg")
        async with connect(http()) as session:
            uploading = request("UploadSamples", dataset=DATASET, files=[file])
            [result] = (await session.execute(uploading, upload_files=True))["uploadSamples"]["results"]
        assert (result["fileName"], result["error"]) == ("from gql.jpg", None), result
        assert result["sample"]["path"] == "from gql.jpg", result

    async def test_changes_and_jobs_are_followed(self) -> None:
        async with connect(http()) as session, connect(websocket()) as socket:
            found = await session.execute(request("Samples", dataset=DATASET, first=1))
            sample, revision = found["dataset"]["samples"]["edges"][0]["node"]["id"], found["dataset"]["revision"]
            await session.execute(request("LabelSamples", dataset=DATASET, samples=[sample], labels=["from-gql"]))
            async for data in socket.subscribe(request("DatasetChanges", dataset=DATASET, after=revision)):
                assert data["datasetChanges"]["revision"] == revision + 1, data
                break
            job = (await session.execute(request("SyncDataset", dataset=DATASET)))["syncDataset"]["job"]["id"]
            steps = [data["jobProgress"]["status"] async for data in socket.subscribe(request("JobProgress", job=job))]
        assert steps[-1] == "SUCCEEDED", steps


if __name__ == "__main__":
    unittest.main(verbosity=2)
