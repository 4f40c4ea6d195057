"""The command line, as a shell runs it."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from api import commands
from api.__main__ import main, parser, settings_of
from api.commands import moment
from api.settings import Settings
from db import vision
from db.identity import tokens
from db.postgres import engine
from tests.conftest import execute

ROOT = Path(__file__).parent.parent.parent
TOKEN = re.compile(r"lg_[A-Za-z0-9_-]{43}")


def at_once(*arguments: str, **variables: str) -> tuple[int, str]:
    """The status and stderr of a command that a process of its own refuses."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "api", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


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


def test_check_says_what_does_not_hold_and_repairs_it(
    labelgraph: CommandLine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELGRAPH_ALLOW_ROOT", str(tmp_path))
    assert labelgraph("check", url=database_url) == "The check found no problems.\n"
    columns = "(name, type, input_path, created_by, total)"
    values = "('pets', 'IMAGE_CLASSIFICATION', $1, 'ann', 7)"
    asyncio.run(execute(database_url, f"INSERT INTO dataset {columns} VALUES {values}", str(tmp_path)))
    assert labelgraph.refused("check", url=database_url) == "labelgraph: The check found 1 problem."
    repaired = labelgraph("check", "--repair", url=database_url)
    assert repaired == "pets: the dataset: total is 7, counted 0 (repaired)\nThe check found no problems.\n"
    assert labelgraph("check", url=database_url) == "The check found no problems.\n"

    asyncio.run(execute(database_url, "UPDATE dataset SET input_path = $1", str(tmp_path / "gone")))
    refused = labelgraph.refused("check", "--repair", url=database_url)
    assert refused.startswith("labelgraph: The files of `pets` cannot be listed and compared. ")


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


def test_a_worker_is_allowed_directories_as_a_server_is(tmp_path: Path) -> None:
    given = parser().parse_args(["worker", "--allow-root", str(tmp_path), "--allow-root", "/"])
    assert settings_of(given).allowed_roots == (tmp_path.resolve(), Path("/"))


def test_no_command_at_all_is_an_error_that_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "command" in capsys.readouterr().err


async def verified(url: str, text: str) -> tokens.Identity | None:
    async with engine.connect(url) as database, database.reading() as connection:
        return await tokens.verify(connection, text)


def test_serve_says_what_is_missing_to_begin(tmp_path: Path) -> None:
    bare = Settings()
    said = commands.welcome(bare, "http://127.0.0.1:1", None, private=True)
    assert "--allow-root" in said
    assert "token create" in said
    ready = commands.welcome(bare.with_changes(allowed_roots=(tmp_path,)), "http://127.0.0.1:1", "lg_x", private=True)
    assert ready.splitlines() == [
        "Labelgraph serves http://127.0.0.1:1/graphql",
        "The page to label on, signed in: http://127.0.0.1:1/ui/#token=lg_x",
        "GraphiQL, signed in: http://127.0.0.1:1/graphql#token=lg_x",
    ]


async def test_serve_finds_allowed_directories_that_do_not_exist(tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    misspelt = [tmp_path / "misspelt", tmp_path / "a-file"]
    settings = Settings().with_changes(allowed_roots=(tmp_path, *misspelt))
    assert await commands.missing_roots(settings) == misspelt


@pytest.mark.parametrize(("token", "private"), [("lg_x", False), (None, False), (None, True)])
def test_serve_names_the_page_also_where_it_prints_no_token(token: str | None, private: bool, tmp_path: Path) -> None:
    settings = Settings().with_changes(allowed_roots=(tmp_path,), data_dir=tmp_path)
    said = commands.welcome(settings, "http://127.0.0.1:1", token, private=private).splitlines()
    where = f"The owner's token is in {tmp_path / 'token'}" if token else "A token to begin with: "
    assert said[1] == "The page to label on: http://127.0.0.1:1/ui/"
    assert said[2].startswith(where)
    assert len(said) == 3


# -- what cannot be done is one sentence, without a traceback ----------------------------------------------------------

COMMANDS = [("serve", "--port", "0"), ("worker",), ("migrate",), ("token", "list")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_cannot_be_reached_is_reported(command: tuple[str, ...], tmp_path: Path) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/labels"
    code, said = at_once(*command, DATABASE_URL=url)
    assert code == 1
    message = "The database that DATABASE_URL names (127.0.0.1, /labels) cannot be used"
    assert said == f"labelgraph: {message}: Connection refused.\n"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://labels.invalid/x", "Name or service not known"),
        ("postgresql:///x?host=/nowhere", "No such file or directory"),
        ("mysql://me:secret@127.0.0.1/x", "DATABASE_URL cannot be understood: it should be a URL as postgresql://"),
        ("postgresql://me:secret@127.0.0.1:port/x", "DATABASE_URL cannot be understood"),
        ("secret", "DATABASE_URL cannot be understood"),
        ("postgresql://me:secret@127.0.0.1/x?sslmode=perhaps", "`sslmode` parameter must be one of"),
    ],
)
def test_a_database_url_that_leads_nowhere_is_reported_without_its_password(
    url: str, why: str, labelgraph: CommandLine
) -> None:
    said = labelgraph.refused("token", "list", url=url)
    assert why in said
    assert "secret" not in said


def test_a_database_that_never_answers_is_reported(labelgraph: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELGRAPH_TIMEOUT_CONNECT", "0.2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/x"
        assert "does not answer within 0.2 seconds" in labelgraph.refused("token", "list", url=url)


def test_a_database_that_does_not_exist_is_reported(labelgraph: CommandLine, server_url: str) -> None:
    url = make_url(server_url).set(database="nowhere").render_as_string(hide_password=False)
    assert 'database "nowhere" does not exist' in labelgraph.refused("token", "list", url=url)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_of_a_newer_version_is_reported_and_left_alone(command: tuple[str, ...], database_url: str) -> None:
    asyncio.run(execute(database_url, "UPDATE alembic_version SET version_num = 'future'"))
    code, said = at_once(*command, DATABASE_URL=database_url)
    assert code == 1
    assert said == (
        "labelgraph: The database belongs to a newer version of Labelgraph, whose schema this version does not know. "
        "Update this one, or name another database.\n"
    )


def test_what_postgres_refuses_is_reported(labelgraph: CommandLine, database_url: str) -> None:
    asyncio.run(execute(database_url, "ALTER TABLE token RENAME TO elsewhere"))
    said = labelgraph.refused("token", "list", url=database_url)
    assert said == 'labelgraph: Postgres could not do it: relation "token" does not exist.'


@pytest.mark.parametrize("port", ["65536", "-1", "http", "٣"])
def test_what_is_no_port_is_reported(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--port", port])
    assert "argument --port: " in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS, ("demo", "--port", "0")], ids=" ".join)
@pytest.mark.parametrize("data", ["a file", "a file/data", "/proc/data"])
def test_a_data_directory_that_cannot_be_is_reported(command: tuple[str, ...], data: str, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    code, said = at_once(*command, "--data", str(tmp_path / data), DATABASE_URL="")
    assert code == 1
    assert re.fullmatch(r"labelgraph: .*(Not a directory|File exists|No such file or directory)\..*\n", said)


def test_a_port_in_use_is_reported(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = at_once("serve", "--port", str(port), DATABASE_URL=database_url)
    assert code == 1
    assert said.startswith(f"labelgraph: Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--port", "0", "--host", "labels.invalid"), "Name or service not known"),
        (("--port", "0", "--host", "192.0.2.1"), "Cannot assign requested address"),
    ],
)
def test_an_address_that_is_not_ours_is_reported(
    arguments: tuple[str, ...], why: str, labelgraph: CommandLine, database_url: str
) -> None:
    assert f"{why}. Choose another" in labelgraph.refused("serve", *arguments, url=database_url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LABELGRAPH_LOG_LEVEL", "loud"),
        ("LABELGRAPH_PORT", "65536"),
        ("LABELGRAPH_JOBS", "0"),
        ("LABELGRAPH_POOL_SIZE", "0"),
        ("LABELGRAPH_S3_ENDPOINT", "s3.example"),
        ("LABELGRAPH_S3_ADDRESSING", "perhaps"),
        ("LABELGRAPH_PUBLIC_URL", "labels.example"),
        ("LABELGRAPH_LISTEN_URL", "http://labels.example"),
        ("LABELGRAPH_POOLED", "true"),
    ],
)
def test_a_setting_that_cannot_be_is_reported(
    name: str, value: str, labelgraph: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert re.fullmatch(rf"labelgraph: {name}\S* [^\n]+\.", labelgraph.refused("serve", url="postgresql://x/y"))


@pytest.mark.parametrize("command", ["serve", "worker", "demo"])
def test_packages_of_models_that_are_not_there_are_reported(
    command: str, labelgraph: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision, "PACKAGES", ("no_such_package",))
    said = labelgraph.refused(command, "--vision", url="postgresql://x/y")
    assert said.startswith(
        "labelgraph: This needs the packages of requirements-vision.txt: `./labelgraph worker --vision`"
    )


def test_programs_that_are_not_there_are_reported(tmp_path: Path) -> None:
    code, said = at_once("token", "list", "--data", str(tmp_path), DATABASE_URL="", LABELGRAPH_PG_BIN="/nowhere")
    assert code == 1
    assert said == "labelgraph: /nowhere holds no initdb and no postgres: name their folder in LABELGRAPH_PG_BIN.\n"


@pytest.mark.parametrize("name", ["", " Ada", "Ada\n", "a" * 65, "\x1b[2J"])
def test_a_name_that_no_token_can_have_is_reported(name: str, labelgraph: CommandLine, database_url: str) -> None:
    said = labelgraph.refused("token", "create", "--name", name, "--scope", "read", url=database_url)
    assert said.startswith("labelgraph: A token's name has 1 to 64 characters")


@pytest.mark.parametrize("when", ["0h", "99999d", "soon", "2027-01-31", "2020-01-01T00:00:00Z", "9999-12-31T23:59:59"])
def test_an_expiry_that_cannot_be_is_reported(when: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["token", "create", "--name", "Ada", "--scope", "read", "--expires", when])
    assert re.search(
        r"argument --expires: '\S+' is (no point in time: write 12h|not in the future)", capsys.readouterr().err
    )


def test_a_reader_that_has_heard_enough_is_no_error(database_url: str) -> None:
    command = f"{sys.executable} -P -m api sdl | head -c 1"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DATABASE_URL": database_url}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
