"""The client against a server."""

import asyncio
import tempfile
import threading
import unittest
from pathlib import Path
from unittest.mock import patch

import httpx
from labelgraph_client import (
    AsyncClient,
    BoundingBox,
    ChangeEvent,
    Client,
    DatasetType,
    ExportFormat,
    ExportImages,
    ImportImages,
    JobStatus,
    LabelgraphError,
    LabelSamplesInput,
    PublishVersionInput,
    SampleFilter,
    SampleOrderField,
    SampleOrderInput,
    SampleSelectionInput,
    SampleState,
    SyncDatasetInput,
    SyncJob,
)

from tests.server import CELLS, COUNT, DIGITS, EACH, LABELED_COUNT, TOKEN, URL, connect, make_dataset


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.client = connect()
        self.addCleanup(self.client.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Reading(Case):
    def test_iterators_go_through_all_pages(self) -> None:
        dataset = make_dataset()
        by_path = SampleOrderInput(field=SampleOrderField.PATH)
        with patch("labelgraph_client._sync.reading.PAGE", 25):
            paths = [sample.path for sample in self.client.samples(dataset, order_by=by_path)]
        assert (len(paths), paths) == (COUNT, sorted(set(paths)))
        unlabeled = SampleFilter(state=SampleState.UNLABELED)
        assert sum(1 for _ in self.client.samples(dataset.id, filter=unlabeled)) == COUNT - LABELED_COUNT
        assert len(self.client.labels(dataset)) == 10
        assert dataset.id in [each.id for each in self.client.datasets()]
        assert self.client.dataset(dataset.id).name == dataset.name
        assert [job.typename__ for job in self.client.jobs(dataset)] == ["SyncJob"]
        with self.assertRaises(LabelgraphError) as missing:
            self.client.dataset("nothing of this name")
        assert missing.exception.code == "DATASET_NOT_FOUND"

    def test_the_async_client_reads_the_same(self) -> None:
        dataset = make_dataset()

        async def read() -> list[str]:
            async with AsyncClient(URL, TOKEN) as client:
                job = await client.wait((await client.sync_dataset(SyncDatasetInput(dataset_id=dataset.id))).job)
                assert (job.status, job.added_count) == (JobStatus.SUCCEEDED, 0), job
                return [sample.path async for sample in client.samples(dataset)]

        assert asyncio.run(read()) == [sample.path for sample in self.client.samples(dataset)]

    def test_shapes_and_annotations(self) -> None:
        dataset = make_dataset(CELLS, DatasetType.OBJECT_DETECTION)
        sample = next(self.client.samples(dataset))
        assert all(isinstance(each.shape, BoundingBox) for each in sample.annotations)
        assert self.client.read(sample.original_url) == (CELLS / sample.path).read_bytes()
        table = self.client.to_pandas(dataset, rows="annotations")
        assert (len(table), {*table["shape"]}) == (141, {"BoundingBox"})
        assert (table["x_max"] > table["x_min"]).all()
        assert len(self.client.to_pandas(dataset)) == 8


class Writing(Case):
    def test_a_version_keeps_what_is_labelled_differently_later(self) -> None:
        dataset = make_dataset()
        sample = next(self.client.samples(dataset))
        version = self.client.publish_version(PublishVersionInput(dataset_id=dataset.id)).version
        select = SampleSelectionInput(ids=[sample.id])
        wanted = LabelSamplesInput(dataset_id=dataset.id, select=select, labels=["new"], create_missing=True)
        answers = [self.client.label_samples(wanted, idempotency_key="once-" + dataset.id) for _ in range(2)]
        assert answers[0] == answers[1]
        labels = {each.path: [label.name for label in each.labels] for each in self.client.samples(dataset)}
        assert "new" in labels[sample.path]
        past = {each.path: [label.name for label in each.labels] for each in self.client.samples(version)}
        assert "new" not in past[sample.path]
        assert self.client.version(dataset, version.name) == version
        for of, has_new in ((dataset, True), (version, False)):
            [file] = self.client.export(of, ExportFormat.CSV, to=self.folder / of.id.replace(":", "-"))
            assert (",new," in file.read_text()) is has_new

    def test_a_refusal_has_its_code_and_details(self) -> None:
        dataset = make_dataset(None)
        select = SampleSelectionInput(filter_=SampleFilter(state=SampleState.LABELED))
        with self.assertRaises(LabelgraphError) as refused:
            self.client.label_samples(LabelSamplesInput(dataset_id=dataset.id, select=select, labels=["no-such"]))
        assert (refused.exception.code, refused.exception.details["names"]) == ("LABEL_NOT_FOUND", ["no-such"])

    def test_followers_see_each_change(self) -> None:
        dataset = make_dataset()
        with connect() as other:
            events = other.follow(dataset)
            threading.Timer(0.1, lambda: self.label_all(dataset.id)).start()
            event = next(events)
            events.close()
        assert isinstance(event, ChangeEvent)
        assert event.change.sample_count == COUNT
        again = self.client.follow(dataset, after=dataset_cursor(self.client, dataset.id))
        self.label_all(dataset.id, "second")
        assert next(again).cursor != event.cursor
        again.close()

    def label_all(self, dataset: str, name: str = "first") -> None:
        select = SampleSelectionInput(all=True)
        with connect() as client:
            client.label_samples(
                LabelSamplesInput(dataset_id=dataset, select=select, labels=[name], create_missing=True)
            )

    def test_waiting_for_a_job_that_fails_is_an_error(self) -> None:
        (self.folder / "labels.json").write_text("{")
        with self.assertRaises(LabelgraphError) as failed:
            self.client.import_annotations(make_dataset(None), self.folder / "labels.json")
        assert failed.exception.code == "VALIDATION_FAILED"

    def test_progress_is_told(self) -> None:
        reported: list[tuple[str, float | None]] = []
        dataset = make_dataset()
        job: SyncJob = self.client.sync_dataset(SyncDatasetInput(dataset_id=dataset.id)).job
        self.client.wait(job, progress=lambda what, fraction: reported.append((what, fraction)))
        assert reported[-1] == ("SyncJob", 1)


class Uploads(Case):
    def test_a_few_files_are_uploaded_with_the_request(self) -> None:
        dataset = make_dataset(None)
        first = self.client.upload_folder(dataset, DIGITS / "7", labels=["seven"])
        assert {each.outcome for each in first} == {"uploaded"}
        assert all(sample.labels for sample in self.client.samples(dataset))
        again = self.client.upload_folder(dataset, DIGITS / "7")
        assert [(each.path, each.outcome) for each in again] == [(each.path, "existing") for each in first]

    def test_many_files_go_to_storage_and_go_on_after_an_interruption(self) -> None:
        dataset = make_dataset(None)
        put = Client.put
        begun: list[str] = []

        def interrupted(client: Client, url: str, method: str, headers: dict[str, str], content: bytes) -> None:
            begun.append(url)
            if len(begun) == 30:
                raise KeyboardInterrupt
            put(client, url, method, headers, content)

        def upload() -> list[str]:
            outcomes = self.client.upload_folder(dataset, DIGITS, labels=lambda path: [path.parent.name], at_once=4)
            return [each.outcome for each in outcomes]

        with patch("labelgraph_client._sync.client.BATCH", 20):
            with patch.object(Client, "put", interrupted), self.assertRaises(KeyboardInterrupt):
                upload()
            outcomes = upload()
        assert (outcomes.count("existing"), outcomes.count("uploaded")) == (20, COUNT - 20)
        labels = {label.name: label.sample_count for label in self.client.labels(dataset)}
        assert labels == {str(digit): EACH for digit in range(10)}

    def test_each_refused_file_says_why(self) -> None:
        (self.folder / "broken.jpg").write_text("no image")
        [outcome] = self.client.upload_folder(make_dataset(None), self.folder)
        assert (outcome.outcome, outcome.sample_id) == ("refused", None)
        assert outcome.code in ("UNSUPPORTED_FORMAT", "IMAGE_UNREADABLE")

    def test_the_async_client_uploads_the_same(self) -> None:
        dataset = make_dataset(None)

        async def upload() -> list[str]:
            async with AsyncClient(URL, TOKEN) as client:
                outcomes = await client.upload_folder(dataset, DIGITS / "1", labels=lambda path: ["one"])
                return [each.outcome for each in outcomes]

        assert asyncio.run(upload()) == ["uploaded"] * EACH


class Exports(Case):
    def test_an_export_is_downloaded_and_imported_again(self) -> None:
        dataset = make_dataset(CELLS, DatasetType.OBJECT_DETECTION)
        files = self.client.export(dataset, ExportFormat.COCO, to=self.folder, images=ExportImages.INCLUDED)
        assert [path.parent for path in files] == [self.folder]
        copy = make_dataset(None, DatasetType.OBJECT_DETECTION)
        job = self.client.import_annotations(copy, *files, images=ImportImages.STORE)
        assert (job.added_count, job.missing_count) == (8, 0)
        assert len(self.client.to_pandas(copy, rows="annotations")) == 141

    def test_a_download_goes_on_where_it_was_interrupted(self) -> None:
        dataset = make_dataset()
        ranges: list[str | None] = []
        hooks = {"request": [lambda request: ranges.append(request.headers.get("range"))]}
        with Client(URL, TOKEN, http=httpx.Client(event_hooks=hooks, follow_redirects=True)) as client:
            [file] = client.export(dataset, ExportFormat.CSV, to=self.folder)
            whole = file.read_bytes()
            file.with_name(file.name + ".part").write_bytes(whole[:100])
            file.unlink()
            for part in (None, b"other bytes"):  # one that is continued, and one of another export
                if part:
                    file.unlink()
                    file.with_name(file.name + ".part").write_bytes(part)
                client.export(dataset, ExportFormat.CSV, to=self.folder)
                assert file.read_bytes() == whole
            sent = [each for each in ranges if each]
            ranges.clear()
            client.export(dataset, ExportFormat.CSV, to=self.folder)  # nothing is downloaded
        assert sent == ["bytes=100-", "bytes=11-"]
        assert [path.name for path in self.folder.iterdir()] == [file.name]

    def test_folders_and_several_files_are_imported_as_an_archive(self) -> None:
        dataset = make_dataset()
        job = self.client.import_annotations(dataset, DIGITS, images=ImportImages.STORE, dry_run=True)
        assert (job.is_dry_run, job.matched_count, job.added_count) == (True, COUNT, 0), job


def dataset_cursor(client: Client, dataset: str) -> str:
    found = client.event_cursor(dataset)
    assert found
    return found.event_cursor


if __name__ == "__main__":
    unittest.main()
