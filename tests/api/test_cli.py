"""The command line, as a shell runs it."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api import commands
from api.__main__ import main, parser, settings_of
from api.commands import moment
from api.settings import Settings
from db import engine, tokens

TOKEN = re.compile(r"lg_[A-Za-z0-9_-]{43}")


class CommandLine:
    """Runs commands in this process: a fresh one would load the whole language each time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, url: str) -> str:
        """What the command prints on stdout."""
        self._monkeypatch.setenv("DATABASE_URL", url)
        self._capsys.readouterr()
        main(arguments)
        return self._capsys.readouterr().out

    def refused(self, *arguments: str, url: str) -> str:
        """The one line that a refused command ends with."""
        with pytest.raises(SystemExit) as ended:
            self(*arguments, url=url)
        return str(ended.value.code)


@pytest.fixture
def labelgraph(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def test_a_new_token_stands_alone_on_stdout_and_works(labelgraph: CommandLine, database_url: str) -> None:
    text = labelgraph("token", "create", "--name", "Ada", "--scope", "label", url=database_url).strip()
    assert TOKEN.fullmatch(text)
    identity = asyncio.run(verified(database_url, text))
    assert identity is not None
    assert (identity.name, identity.scope) == ("Ada", tokens.Scope.LABEL)


def test_tokens_are_listed_without_their_text_and_can_be_revoked(labelgraph: CommandLine, database_url: str) -> None:
    text = labelgraph("token", "create", "--name", "Ada", "--scope", "read", "--expires", "30d", url=database_url)
    listed = labelgraph("token", "list", url=database_url)
    assert re.search(r"read +all datasets +expires .* Ada$", listed.strip())
    assert text.strip() not in listed
    assert labelgraph("token", "revoke", "Ada", url=database_url) == "Revoked 1 token.\n"
    assert "revoked" in labelgraph("token", "list", url=database_url)


def test_what_cannot_be_done_is_said_in_one_line(labelgraph: CommandLine, database_url: str) -> None:
    said = labelgraph.refused("token", "revoke", "nobody", url=database_url)
    assert said == "labelgraph: There is no valid token named 'nobody'; see `token list`."


def test_a_token_for_a_dataset_nobody_made_is_refused(labelgraph: CommandLine, database_url: str) -> None:
    arguments = ("token", "create", "--name", "Ada", "--scope", "read", "--dataset", "cats")
    assert "no dataset named 'cats'" in labelgraph.refused(*arguments, url=database_url)


def test_migrate_brings_an_empty_database_to_the_schema(labelgraph: CommandLine, empty_database_url: str) -> None:
    labelgraph("migrate", url=empty_database_url)
    assert labelgraph("token", "list", url=empty_database_url) == ""


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("30d", 720), ("2w", 336)])
def test_an_expiry_counts_from_now(text: str, hours: int) -> None:
    assert abs(moment(text) - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(minutes=1)


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABELGRAPH_PORT", "1")
    monkeypatch.setenv("LABELGRAPH_HOST", "192.0.2.1")
    given = parser().parse_args(["serve", "--port", "2", "--allow-root", str(tmp_path), "--no-worker"])
    settings = settings_of(given)
    assert (settings.port, settings.host, settings.worker) == (2, "192.0.2.1", False)
    assert settings.allowed_roots == (tmp_path.resolve(),)


def test_no_command_at_all_is_an_error_that_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "command" in capsys.readouterr().err


async def verified(url: str, text: str) -> tokens.Identity | None:
    async with engine.connect(url) as database, database.reading() as connection:
        return await tokens.verify(connection, text)


def test_serve_says_what_is_missing_to_begin(tmp_path: Path) -> None:
    bare = Settings()
    said = commands.welcome(bare, "http://127.0.0.1:1", None)
    assert "--allow-root" in said
    assert "token create" in said
    ready = commands.welcome(bare.with_changes(allowed_roots=(tmp_path,)), "http://127.0.0.1:1", "lg_x")
    assert ready.splitlines() == [
        "Labelgraph serves http://127.0.0.1:1/graphql",
        "GraphiQL, signed in: http://127.0.0.1:1/graphql#token=lg_x",
    ]
