"""What needs no server: retries, idempotency keys, event streams, what a newer server may answer, names of files."""

import asyncio
import json
import tempfile
import threading
import time
import unittest
from collections.abc import AsyncGenerator, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import httpx
from labelgraph_client import (
    Annotation,
    AsyncClient,
    BoundingBox,
    Client,
    Label,
    LabelgraphError,
    SampleFilter,
    SampleState,
    TimeFilter,
    Unknown,
    Upload,
    UploadSamplesInput,
    cli,
)
from labelgraph_client.concurrency import in_a_task, map_async, map_threads
from labelgraph_client.errors import Attempts
from labelgraph_client.events import EventParser
from labelgraph_client.files import images_in, packed, plan, target_of

Answer = httpx.Response | Exception
VIEWER = {"name": "me", "scope": "READ", "expiresAt": None, "datasetIds": None, "canCreateDatasets": False}
SERVED = {"data": {"viewer": VIEWER}}
DELETED = {"data": {"deleteVersion": {"deletedVersionId": "Version:1"}}}


def refusal(code: str, **details: object) -> dict[str, object]:
    return {"errors": [{"message": "A sentence.", "extensions": {"code": code, "details": details}}]}


class Server:
    """Gives prepared answers, one after another, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, patience: float = 60) -> Client:
        return Client("http://server/graphql", "lg_x", patience=patience, http=httpx.Client(transport=self._transport))

    @property
    def _transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)


class Retries(unittest.TestCase):
    def setUp(self) -> None:
        self.pauses: list[float] = []
        sleep = patch("time.sleep", self.pauses.append)
        sleep.start()
        self.addCleanup(sleep.stop)

    def test_what_fails_for_a_while_is_sent_again_with_the_same_key(self) -> None:
        server = Server(
            httpx.ConnectError("refused"),
            httpx.ReadTimeout("late"),
            httpx.Response(502, text="<html>a proxy</html>"),
            httpx.Response(429, json=refusal("RATE_LIMITED", retryAfter=7)),
            httpx.Response(503, json=refusal("REQUEST_IN_PROGRESS"), headers={"retry-after": "9"}),
            httpx.Response(200, json=refusal("UNAVAILABLE")),
            httpx.Response(200, json=DELETED),
        )
        with server.client() as client:
            answer = client.execute("mutation { deleteVersion }", idempotency_key="mine")
        assert answer == DELETED["data"]
        assert {request.headers["idempotency-key"] for request in server.requests} == {"mine"}
        assert self.pauses[3:5] == [7, 9]

    def test_each_mutation_has_a_key_of_its_own_and_queries_have_none(self) -> None:
        server = Server(*(httpx.Response(200, json=answer) for answer in (DELETED, DELETED, SERVED)))
        with server.client() as client:
            for _ in range(2):
                client.execute("mutation { deleteVersion }")
            client.viewer()
        keys = [request.headers.get("idempotency-key") for request in server.requests]
        assert len({*keys}) == 3
        assert keys[2] is None

    def test_what_is_refused_is_not_sent_again(self) -> None:
        server = Server(httpx.Response(200, json=refusal("LABEL_NOT_FOUND", names=["cat"])))
        with server.client() as client, self.assertRaises(LabelgraphError) as refused:
            client.viewer()
        error = refused.exception
        assert (error.code, error.message, error.details) == ("LABEL_NOT_FOUND", "A sentence.", {"names": ["cat"]})

    def test_files_are_sent_as_a_form(self) -> None:
        uploaded: object = {"data": {"uploadSamples": {"results": []}}}
        server = Server(httpx.Response(200, json=uploaded))
        files = [Upload("1.jpg", b"one"), Upload("2.jpg", b"two")]
        with server.client() as client:
            client.upload_samples(UploadSamplesInput(dataset_id="Dataset:1", files=files))
        form = server.requests[0].content.decode()
        assert '"variables": {"input": {"datasetId": "Dataset:1", "files": [null, null]}}' in form
        assert '{"0": ["variables.input.files.0"], "1": ["variables.input.files.1"]}' in form
        assert form.index('name="operations"') < form.index('filename="1.jpg"')

    def test_patience_ends(self) -> None:
        server = Server(httpx.ConnectError("refused"))
        with server.client(patience=0) as client, self.assertRaises(LabelgraphError) as refused:
            client.viewer()
        assert refused.exception.code == "UNREACHABLE"

    def test_a_request_in_progress_is_waited_for_without_end(self) -> None:
        attempts = Attempts(0.001)
        with patch("time.monotonic", iter(range(1000)).__next__):
            for _ in range(20):
                attempts.pause(LabelgraphError("", "REQUEST_IN_PROGRESS"))

    def test_what_is_not_an_answer_of_labelgraph_says_so(self) -> None:
        with Server(httpx.Response(404, text="no")).client() as client, self.assertRaises(LabelgraphError) as refused:
            client.viewer()
        assert refused.exception.code == "BAD_ANSWER"

    def test_a_wrong_address_is_said_at_once(self) -> None:
        with self.assertRaises(ValueError):
            Client("server:8000", "lg_x")
        loop = httpx.Response(302, headers={"location": "http://server/graphql"})
        server = Server(*[loop] * 30)
        http = httpx.Client(transport=httpx.MockTransport(server), follow_redirects=True)
        with Client("http://server", "lg_x", http=http) as client, self.assertRaises(LabelgraphError) as refused:
            client.viewer()
        assert (refused.exception.code, self.pauses) == ("BAD_ANSWER", [])

    def test_the_newest_position_is_sent_back(self) -> None:
        answers = [httpx.Response(200, json=SERVED, headers={"labelgraph-position": f"0{n}"}) for n in (2, 1, 0)]
        server = Server(*answers)
        with server.client() as client:
            for _ in answers:
                client.viewer()
        assert [request.headers.get("labelgraph-position") for request in server.requests] == [None, "02", "02"]

    def test_pages_get_smaller_where_the_server_says_so(self) -> None:
        page = {"data": {"datasets": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}}
        answers = [refusal("VALIDATION_FAILED", most=50), refusal("QUERY_TOO_COSTLY"), page, refusal("FORBIDDEN")]
        server = Server(*(httpx.Response(200, json=answer) for answer in answers))
        with server.client() as client:
            assert list(client.datasets()) == []
            with self.assertRaises(LabelgraphError):
                list(client.datasets())
        sizes = [json.loads(request.content)["variables"]["first"] for request in server.requests]
        assert sizes == [100, 50, 12, 100]

    def test_following_goes_on_behind_the_last_event(self) -> None:
        def stream(*cursors: str) -> httpx.Response:
            events = [{"data": {"datasetEvents": {"__typename": "NewEvent", "cursor": cursor}}} for cursor in cursors]
            text = "".join(
                f": alive\n\nevent: next\nid: {n}\ndata: {json.dumps(event)}\n\n" for n, event in enumerate(events)
            )
            return httpx.Response(200, text=text, headers={"content-type": "text/event-stream; charset=utf-8"})

        gone = httpx.Response(200, text="event: complete\ndata:\n\n", headers={"content-type": "text/event-stream"})
        cursor = httpx.Response(200, json={"data": {"dataset": {"eventCursor": "0"}}})
        server = Server(cursor, stream("1", "2"), httpx.ConnectError("refused"), stream("3"), gone)
        with server.client() as client:
            followed = [event.cursor for event in client.follow("Dataset:1")]
        assert followed == ["1", "2", "3"]
        afters = [json.loads(request.content)["variables"].get("after") for request in server.requests[1:]]
        assert afters == ["0", "2", "2", "3"]


class Answers(unittest.TestCase):
    def test_new_values_and_types_of_a_newer_server_are_kept(self) -> None:
        assert SampleState("ARCHIVED") == "ARCHIVED"
        values: dict[str, object] = {
            "id": "Annotation:1",
            "label": {"id": "Label:1", "name": "cat"},
            "labeledBy": "me",
            "origin": "DREAM",
        }
        values |= {"labeledAt": "2026-03-01T00:00:00Z", "confidence": None, "pose": None, "model": None, "isNew": True}
        values |= dict.fromkeys(("isConfirmed", "isDifficult", "isTruncated", "isOccluded"), False)
        box = {"__typename": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 3, "yMax": 4}
        assert isinstance(Annotation.model_validate(values | {"shape": box}).shape, BoundingBox)
        mask = Annotation.model_validate(values | {"shape": {"__typename": "Mask", "rle": "0"}})
        assert isinstance(mask.shape, Unknown)
        assert mask.origin == "DREAM"
        assert Annotation.model_validate(values | {"shape": None}).shape is None

    def test_only_given_fields_are_sent_and_misspelt_ones_refused(self) -> None:
        wanted = SampleFilter(state=SampleState.LABELED, created_at=TimeFilter(from_=None))
        sent = wanted.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert sent == {"state": "LABELED", "createdAt": {"from": None}}
        with self.assertRaises(ValueError):
            SampleFilter(staet="LABELED")  # type: ignore[call-arg]

    def test_a_program_may_end_where_it_follows(self) -> None:
        event = {"data": {"datasetEvents": {"__typename": "NewEvent", "cursor": "1"}}}
        left = threading.Event()

        class Endless(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                self.wfile.write(f"event: next\ndata: {json.dumps(event)}\n\n".encode())
                left.wait(60)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        async def follow_one(port: int) -> str:
            async with AsyncClient(f"http://127.0.0.1:{port}", "lg_x") as client:
                async for event in client.follow("Dataset:1", after="0"):
                    return event.cursor
            raise AssertionError

        with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
            threading.Thread(target=server.serve_forever).start()
            try:
                with self.assertNoLogs("asyncio"), patch("sys.unraisablehook") as complaints:
                    assert asyncio.run(follow_one(server.server_port)) == "1"
            finally:
                left.set()
                server.shutdown()
        complaints.assert_not_called()

    def test_a_csv_file_of_any_spreadsheet_is_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "labels.csv")
            for delimiter in ",;\t":
                file.write_text('\ufeffpath,label\n1.jpg,a,b\n2.jpg,"b c"\n'.replace(",", delimiter), encoding="utf-8")
                found = cli.lines_of(file, without_labels=False)
                assert found == {("a", "b"): [("1.jpg", 2)], ("b c",): [("2.jpg", 3)]}

    def test_events_are_read_line_by_line(self) -> None:
        parser = EventParser()
        lines = [":", "", "event: next", "data: {", "data: }", "", "event: complete", "data:", ""]
        assert list(filter(None, map(parser.feed, lines))) == [("next", "{\n}"), ("complete", "")]

    def test_the_async_client_answers_the_same(self) -> None:
        async def ask() -> str:
            server = Server(httpx.ConnectError("refused"), httpx.Response(200, json=SERVED))
            http = httpx.AsyncClient(transport=httpx.MockTransport(server))
            async with AsyncClient("http://server", "lg_x", http=http) as client:
                return (await client.viewer()).name

        assert asyncio.run(ask()) == "me"

    def test_both_clients_have_the_same_methods(self) -> None:
        def methods(of: type) -> set[str]:
            names: Callable[[str], bool] = lambda name: not name.startswith("_")  # noqa: E731
            return {*filter(names, dir(of))}

        assert methods(AsyncClient) - {"aclose"} == methods(Client) - {"close"}
        assert "label_samples" in methods(Client)
        assert Label.__name__ == "Label"


class Concurrency(unittest.TestCase):
    def test_the_first_error_is_raised_and_nothing_is_begun_after_it(self) -> None:
        begun: list[int] = []

        def work(number: int) -> int:
            begun.append(number)
            time.sleep(0.01)
            if number == 3:
                raise LabelgraphError("A sentence.", "CONFLICT")
            return number

        async def work_async(number: int) -> int:
            await asyncio.sleep(0)
            return work(number)

        async def both() -> None:
            await map_async(work_async, range(100), 4)

        for run in (lambda: map_threads(work, range(100), 4), lambda: asyncio.run(both())):
            begun.clear()
            with self.assertRaises(LabelgraphError):
                run()
            assert len(begun) < 50, begun
        assert map_threads(work, range(3), 4) == [0, 1, 2]

    def test_what_a_task_reads_ends_with_an_error_when_somebody_else_cancels_the_task(self) -> None:
        async def one_and_no_more() -> AsyncGenerator[int, None]:
            yield 1
            await asyncio.Event().wait()

        async def read() -> None:
            items = in_a_task(one_and_no_more())
            assert await anext(items) == 1
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            async with asyncio.timeout(30):
                with self.assertRaises(LabelgraphError) as raised:
                    await anext(items)
            assert raised.exception.code == "CANCELED"

        asyncio.run(read())


class Files(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("a/1.jpg", "b/1.jpg", "b/2.PNG", ".hidden/3.jpg", "b/notes.txt"):
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(name)

    def test_images_of_one_name_get_their_folders_in_front(self) -> None:
        planned = plan(images_in(self.root), lambda path: [path.parent.name], self.root)
        assert [(file.name, file.labels) for file in planned] == [
            ("a_1.jpg", ["a"]),
            ("b_1.jpg", ["b"]),
            ("2.PNG", ["b"]),
        ]
        assert planned[0].key() != planned[1].key()

    def test_what_is_not_there_or_empty_is_not_imported(self) -> None:
        (self.root / "empty").mkdir()
        (self.root / "empty.json").touch()
        reasons = {"nope.json": "no local file or folder", "empty": "no file in the folder", "empty.json": "is empty"}
        for name, reason in reasons.items():
            with self.assertRaisesRegex((OSError, ValueError), reason), packed([self.root / name]):
                pass

    def test_the_same_files_make_the_same_archive(self) -> None:
        with packed([self.root]) as one, packed([self.root]) as two:
            assert one.read_bytes() == two.read_bytes()

    def test_no_file_is_written_outside_the_folder(self) -> None:
        for name in ("../x", "/etc/x", "a/../../x", "a\\..\\..\\x", "C:\\x", "C:x"):
            with self.assertRaises(LabelgraphError):
                target_of(self.root, name)


if __name__ == "__main__":
    unittest.main()
