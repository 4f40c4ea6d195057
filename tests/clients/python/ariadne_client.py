"""The client that ariadne-codegen made: a method for each operation, answers as pydantic models."""

import unittest
from datetime import UTC, datetime, timedelta
from typing import Any

from labelgraph_client import Client, GraphQLClientGraphQLMultiError, Upload  # type: ignore[import-not-found]
from labelgraph_client.enums import SampleState  # type: ignore[import-not-found]
from labelgraph_client.input_types import SampleFilter, TimeFilter  # type: ignore[import-not-found]

from tests.clients.python.operations import DATASET, HEADERS, IMAGE, SOCKET_URL, TOKEN, URL


def connect() -> Any:
    init = {"Authorization": f"Bearer {TOKEN}"}
    return Client(url=URL, headers=HEADERS, ws_url=SOCKET_URL, ws_connection_init_payload=init)


class AriadneCodegen(unittest.IsolatedAsyncioTestCase):
    async def test_pages_reach_every_sample_once(self) -> None:
        async with connect() as client:
            page = (await client.samples(DATASET, first=25)).dataset.samples
            paths = [edge.node.path for edge in page.edges]
            while page.page_info.has_next_page:
                after = page.page_info.end_cursor
                page = (await client.samples(DATASET, first=25, after=after)).dataset.samples
                paths += [edge.node.path for edge in page.edges]
        assert len(set(paths)) == len(paths) == page.total_count, paths

    async def test_filters_are_typed(self) -> None:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        wanted = SampleFilter(state=SampleState.LABELED, created_at=TimeFilter(from_=yesterday))
        async with connect() as client:
            found = (await client.samples(DATASET, filter_=wanted, first=3)).dataset.samples
        assert {edge.node.state for edge in found.edges} <= {SampleState.LABELED}, found

    async def test_labels_are_put_and_a_refusal_raises(self) -> None:
        async with connect() as client:
            sample = (await client.samples(DATASET, first=1)).dataset.samples.edges[0].node.id
            put = (await client.label_samples(DATASET, [sample], ["from-ariadne"])).label_samples
            assert "from-ariadne" in [label.name for label in put.samples[0].labels], put
            with self.assertRaises(GraphQLClientGraphQLMultiError) as refused:
                await client.label_samples("Dataset:999999", [sample], ["any"])
        assert refused.exception.errors[0].extensions["code"] == "DATASET_NOT_FOUND", refused.exception

    async def test_an_interface_becomes_the_model_of_its_type(self) -> None:
        async with connect() as client:
            job = (await client.sync_dataset(DATASET)).sync_dataset.job.id
            steps = [step.job_progress async for step in client.job_progress(job)]
            node = (await client.one_node(job)).node
        assert (steps[-1].status, steps[-1].typename__) == ("SUCCEEDED", "SyncJob"), steps
        assert (node.typename__, node.status) == ("SyncJob", "SUCCEEDED"), node

    async def test_files_are_uploaded(self) -> None:
        with IMAGE.open("rb") as content:
            file = Upload(filename="from-ariadne.jpg", content=content, content_type="image/jpeg")
            async with connect() as client:
                [result] = (await client.upload_samples(DATASET, [file])).upload_samples.results
        assert (result.file_name, result.error) == ("from-ariadne.jpg", None), result

    async def test_changes_are_followed(self) -> None:
        async with connect() as client:
            found = (await client.samples(DATASET, first=2)).dataset
            sample = found.samples.edges[1].node.id
            await client.label_samples(DATASET, [sample], ["followed"])
            async for change in client.dataset_changes(DATASET, after=found.revision):
                assert change.dataset_changes.revision == found.revision + 1, change
                break


if __name__ == "__main__":
    unittest.main(verbosity=2)
