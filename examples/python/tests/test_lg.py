"""`lg` against a server."""

import io
import json
import os
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from labelgraph_client import Client, PublishVersionInput, cli

from tests.server import COUNT, DIGITS, EACH, LABELED_COUNT, TOKEN, URL, connect, make_dataset


class Lg(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        environment = patch.dict(os.environ, {"XDG_CONFIG_HOME": folder.name})
        environment.start()
        self.addCleanup(environment.stop)
        for name in ("LABELGRAPH_URL", "LABELGRAPH_TOKEN"):
            os.environ.pop(name, None)

    def lg(self, *arguments: str | Path, status: int = 0, stdin: str = "") -> str:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), patch("sys.stdin", io.StringIO(stdin)):
            ended = cli.main([str(argument) for argument in arguments])
        assert ended == status, out.getvalue() + err.getvalue()
        return out.getvalue() + err.getvalue()

    def login(self) -> None:
        self.lg("login", URL, stdin=f"{TOKEN}\n")

    def test_a_token_is_checked_and_kept_for_the_user_alone(self) -> None:
        self.login()
        [file] = (self.folder / "labelgraph").iterdir()
        assert file.stat().st_mode & 511 == 384
        with Client() as client:
            assert client.viewer().scope == "MANAGE"
        assert "UNAUTHENTICATED" in self.lg("login", URL, stdin="lg_wrong\n", status=4)
        with Client() as client:
            assert client.viewer().scope == "MANAGE"
        assert "UNAUTHENTICATED" in self.lg("--url", URL.replace("127.0.0.1", "localhost"), "datasets", status=4)

    def test_a_server_that_is_away(self) -> None:
        assert "UNREACHABLE" in self.lg("--url", "http://127.0.0.1:9", "--patience", "0", "datasets", status=3)
        assert "UNREACHABLE" in self.lg("datasets", "--url", "http://127.0.0.1:9", "--patience", "0", status=3)
        assert "lg login" in self.lg("datasets", status=1)

    def test_labels_of_a_csv_file(self) -> None:
        self.login()
        dataset = make_dataset()
        assert f"{dataset.id}\t{dataset.name}\tIMAGE_CLASSIFICATION\t{LABELED_COUNT}/{COUNT}" in self.lg("datasets")
        with connect() as client:
            one, two = [sample.path for sample in client.samples(dataset)][:2]
        file = self.folder / "labels.csv"
        file.write_text(f"path,label\n{one},a,b\n{two},c\nno/such.jpg,c\n")
        assert f"{file}:4: no/such.jpg" in self.lg("label", dataset.name, file, status=5)
        file.write_text(f"path,label\n\n{one},not <valid>\n{two},d\n")
        refused = self.lg("label", dataset.name, file, status=5)
        assert f"{file}:3: INVALID_NAME: `not <valid>`" in refused
        assert "changed: 1\n" in refused
        file.write_text(f"{one},a\n{two}\n")
        assert f"{file}:2: there is no label" in self.lg("label", dataset.name, file, status=1)
        file.write_text(f"{one},only\n{two},only\n")
        assert self.lg("label", dataset.id, file, "--replace") == "changed: 2\n"
        with connect() as client:
            labels = {sample.path: [label.name for label in sample.labels] for sample in client.samples(dataset)}
        assert (labels[one], labels[two]) == (["only"], ["only"])

    def test_sync_upload_export_and_import(self) -> None:
        self.login()
        dataset = make_dataset(None).name
        uploaded = self.lg("upload", dataset, DIGITS / "3", "--label-by-folder", "--label", "digit")
        assert f"uploaded: {EACH}" in uploaded
        assert "added: 0" in self.lg("sync", dataset, "--dry-run")
        [file] = self.lg("export", dataset, "csv", self.folder / "out").splitlines()
        assert {"3", "digit"} == {line.split(",")[1] for line in Path(file).read_text().splitlines()[1:]}
        with connect() as client:
            version = client.publish_version(PublishVersionInput(dataset_id=client.dataset(dataset).id)).version
        [past] = self.lg("export", dataset, "csv", self.folder / "past", "--version", version.name).splitlines()
        assert Path(past).read_text().count(",digit,") == EACH
        again = make_dataset(None).name
        assert f"missing: {EACH}" in self.lg("import", again, file, "--dry-run", status=5)

    def test_watch_prints_each_event(self) -> None:
        self.login()
        dataset = make_dataset()
        with connect() as client:
            after = client.event_cursor(dataset.id)
            assert after
            self.lg("label", dataset.name, self.csv_of(dataset.id))
            events = [next(client.follow(dataset, after=after.event_cursor))]
        with patch.object(Client, "follow", side_effect=lambda *given, **options: iter(events)):
            line = json.loads(self.lg("watch", dataset.name, "--json"))
            assert (line["__typename"], line["change"]["kind"]) == ("ChangeEvent", "LABEL_SAMPLES")
            assert "Change\t" in self.lg("watch", dataset.name)

    def csv_of(self, dataset: str) -> Path:
        file = self.folder / "all.csv"
        with connect() as client:
            file.write_text("".join(f"{sample.path},seen\n" for sample in client.samples(dataset)))
        return file


if __name__ == "__main__":
    unittest.main()
