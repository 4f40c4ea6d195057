"""The server as its owner meets it: started, signed in, stopped, killed, started again."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.snippets import snippet

ROOT = Path(__file__).parent.parent.parent
LISTENS = re.compile(r"(http://\S+)/graphql")
SECONDS = 120
[FIRST_QUERY] = snippet("README.md", "curl").documents


class Server:
    """A process of the command line, with its output read up to its owner's token."""

    def __init__(self, process: "subprocess.Popen[str]", data_dir: Path) -> None:
        self.process = process
        self.said = ""
        assert process.stdout is not None
        for line in process.stdout:
            self.said += line
            if str(data_dir / "token") in line:
                break
        else:
            pytest.fail(f"it ended with {process.wait()} and said: {self.said}")
        listens = LISTENS.search(self.said)
        assert listens is not None
        self.url = listens[1]
        self.token = (data_dir / "token").read_text().strip()

    def ask(self, query: str, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        with httpx2.Client(trust_env=False, timeout=SECONDS) as client:
            return client.post(f"{self.url}/graphql", json={"query": query}, headers=headers).json()["data"]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextmanager
def labelgraph(*arguments: str, stdout: int = subprocess.PIPE) -> Iterator["subprocess.Popen[str]"]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-P", "-m", "api", *arguments]
    with subprocess.Popen(command, env=environment, stdout=stdout, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def running(command: str, data_dir: Path) -> Iterator[Server]:
    with labelgraph(command, "--port", "0", "--data", str(data_dir)) as process:
        yield Server(process, data_dir)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def postgres_runs(data_dir: Path) -> bool:
    return (data_dir / "postgres" / "cluster" / "postmaster.pid").exists()


def test_the_demo_labels_real_images_and_finds_them_again(data_dir: Path) -> None:
    with running("demo", data_dir) as server:
        assert "90 images added, succeeded" in server.said
        assert "90 images, 70 labelled, 20 to do" in server.said
        assert "8 images, 8 labelled, 0 to do" in server.said
        assert f"{server.url}/ui/\n" in server.said
        assert server.token not in server.said
        assert server.ask(FIRST_QUERY)["dataset"]["samples"]["totalCount"] == 20
        fields = "statistics { totalCount labeledCount } labels { shortcut sampleCount }"
        found = server.ask(f'{{ dataset(by: {{name: "digits"}}) {{ {fields} }} }}')["dataset"]
        assert found["statistics"] == {"totalCount": 90, "labeledCount": 70}
        assert found["labels"] == [{"shortcut": digit, "sampleCount": 7} for digit in "0123456789"]
        assert server.stop(signal.SIGINT) == 0
    assert not postgres_runs(data_dir)
    with running("demo", data_dir) as again:
        assert "90 images, 70 labelled, 20 to do" in again.said
        assert again.ask("{ datasets { totalCount } }") == {"datasets": {"totalCount": 2}}
        assert again.token == server.token
    with running("serve", data_dir) as other:
        folders = {name: (data_dir / "demo" / name).resolve() for name in ("digits", "cells")}
        for name, folder in folders.items():
            assert f"The images of {name}, in {folder}, are not served. " in other.said
        assert other.said.count("(`--allow-root`)") == 2


def test_serves_its_owner_on_loopback_until_sigterm(data_dir: Path) -> None:
    with running("serve", data_dir) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert server.ask("{ viewer { name } }") == {"viewer": {"name": "owner"}}
        assert server.stop(signal.SIGTERM) == 0
    assert not postgres_runs(data_dir)


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_the_token_is_printed_into_a_terminal_only(command: str, data_dir: Path) -> None:
    with running(command, data_dir) as server:
        assert server.token not in server.said
        assert (data_dir / "token").stat().st_mode & 0o077 == 0
        assert server.stop() == 0
    terminal, inner = os.openpty()
    with labelgraph(command, "--port", "0", "--data", str(data_dir), stdout=inner) as process:
        os.close(inner)
        said = b""
        while not all(path + b"#token=" + server.token.encode() in said for path in (b"/ui/", b"/graphql")):
            said += os.read(terminal, 4096)  # raises once the process has ended
        process.terminate()
        assert process.wait(SECONDS) == 0
    os.close(terminal)


def test_a_token_made_while_a_server_runs_works_at_once(data_dir: Path) -> None:
    arguments = ("token", "create", "--name", "Ada", "--scope", "read", "--data", str(data_dir))
    with running("serve", data_dir) as server:
        with labelgraph(*arguments) as creating:
            text = creating.communicate(timeout=SECONDS)[0].strip()
        assert server.ask("{ viewer { name } }", token=text) == {"viewer": {"name": "Ada"}}


def test_a_killed_server_starts_again(data_dir: Path) -> None:
    with running("serve", data_dir) as server:
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    with running("serve", data_dir) as again:
        assert again.ask("{ viewer { name } }", token=server.token) == {"viewer": {"name": "owner"}}
