"""Connections that are lost: nothing is done twice, and nothing is missed."""

import tempfile
import unittest
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
from labelgraph_client import (
    ChangeEvent,
    Client,
    CreateLabelsInput,
    ExportDatasetInput,
    ExportFormat,
    ExportImages,
    LabelInput,
)

from tests.proxy import Proxy
from tests.server import DIGITS, EACH, TOKEN, URL, connect, make_dataset


class Lost(unittest.TestCase):
    def setUp(self) -> None:
        server = urlsplit(URL)
        assert server.hostname
        assert server.port
        self.proxy = self.enterContext(Proxy(server.hostname, server.port))
        self.client = self.enterContext(Client(self.proxy.url, TOKEN, patience=30))
        self.direct = self.enterContext(connect())
        self.dataset = make_dataset()

    def create_label(self, client: Client, name: str) -> None:
        client.create_labels(CreateLabelsInput(dataset_id=self.dataset.id, labels=[LabelInput(name=name)]))

    def test_a_mutation_whose_answer_is_lost_takes_effect_once(self) -> None:
        self.proxy.cut_answer_after(0)
        self.create_label(self.client, "once")  # a second time it would be refused
        assert [label.name for label in self.direct.labels(self.dataset)].count("once") == 1

    def test_who_follows_misses_nothing_and_sees_nothing_twice(self) -> None:
        found = self.direct.event_cursor(self.dataset.id)
        assert found
        self.create_label(self.direct, "before")
        events = self.client.follow(self.dataset, after=found.event_cursor)
        seen = [next(events)]
        self.proxy.is_away = True
        self.proxy.cut()
        for name in ("while-away", "still-away"):
            self.create_label(self.direct, name)
        with patch("time.sleep", self.come_back):
            seen += [next(events), next(events)]
        events.close()
        revisions = [event.change.revision for event in seen if isinstance(event, ChangeEvent)]
        assert revisions == list(range(revisions[0], revisions[0] + 3))

    def come_back(self, pause: float) -> None:
        self.proxy.is_away = False

    def test_a_download_goes_on(self) -> None:
        request = ExportDatasetInput(dataset_id=self.dataset.id, format=ExportFormat.CSV, images=ExportImages.INCLUDED)
        job = self.direct.wait(self.direct.start_export(request).job)
        ranges: list[str] = []
        hooks = {"request": [lambda request: ranges.append(request.headers.get("range", ""))]}
        http = httpx.Client(event_hooks=hooks)
        with Client(self.proxy.url, TOKEN, http=http) as client, tempfile.TemporaryDirectory() as folder:
            self.proxy.cut_answer_after(100_000)
            [file] = client.download_export(job, folder)
            assert file.stat().st_size == job.files[0].size
        assert [each for each in ranges if each], ranges

    def test_an_upload_is_put_again(self) -> None:
        empty = make_dataset(None)
        self.proxy.cut_answer_after(20_000)
        outcomes = self.client.upload_folder(empty, DIGITS / "2", labels=lambda path: ["two"], at_once=2)
        assert [each.outcome for each in outcomes] == ["uploaded"] * EACH


if __name__ == "__main__":
    unittest.main()
