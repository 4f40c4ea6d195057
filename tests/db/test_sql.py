"""Named statements: every one is valid on the migrated tables, is used, and is called with its values."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import asyncpg
import pytest

from db.postgres import pgvector, sql
from db.postgres.engine import Database

ROOT = Path(__file__).parent.parent.parent
FILES = [path for path in sorted((ROOT / "db").rglob("*.sql")) if "-- name: " in path.read_text()]
MODULES = [path for path in sorted((ROOT / "db").rglob("*.py")) if "\nSQL: Final = sql.load(" in path.read_text()]


def statements(path: Path) -> dict[str, str]:
    return dict(vars(sql.Statements(path)))


@pytest.mark.portable
async def test_postgres_can_prepare_every_statement(database: Database) -> None:
    async with database.writing() as session:
        connection = await sql.connection_of(session)
        for text in (text for path in FILES for text in statements(path).values() if "CREATE TEMP TABLE" in text):
            await connection.execute(text)
        files = FILES if await pgvector.enable_on(connection) else [path for path in FILES if not is_of_vectors(path)]
        assert [message async for message in refused(connection, files)] == []


def is_of_vectors(path: Path) -> bool:
    """Whether its statements need pgvector, which not every Postgres has."""
    return path.parent.name == "embeddings"


async def refused(connection: asyncpg.Connection, files: Sequence[Path]) -> AsyncIterator[str]:
    for path in files:
        for name, text in statements(path).items():
            try:
                async with connection.transaction():
                    await connection.prepare(sql.numbered(filled(text))[0])
            except asyncpg.PostgresError as error:
                yield f"{path.relative_to(ROOT)}: {name}: {error}"


def filled(text: str) -> str:
    """The statement with the example of its comment for each gap."""
    [example] = re.findall(r"^-- example: (.*)$", text, re.MULTILINE) or [""]
    for gap in filter(None, example.split("; ")):
        name, value = gap.split(" = ", 1)
        text = text.replace(f"{{{name}}}", value)
    return text


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_statement_of_a_file_has_a_name_of_its_own_and_is_used(path: Path) -> None:
    names = re.findall(r"^-- name: (.*)$", path.read_text(), re.MULTILINE)
    used = {name for module in path.parent.glob("*.py") for name in re.findall(r"\bSQL\.(\w+)", module.read_text())}
    assert len(names) == len(set(names))
    assert set(names) <= used


def test_every_call_passes_the_values_that_its_statement_names() -> None:
    assert MODULES
    assert [wrong for module in MODULES for wrong in wrong_calls(module)] == []


def wrong_calls(module: Path) -> Iterator[str]:
    tree = ast.parse(module.read_text())
    [load] = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "sql.load"]
    file = ast.literal_eval(load.args[1]) if len(load.args) > 1 else f"{module.stem}.sql"
    known = statements(module.with_name(file))
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="sql"), attr="run" | "first" | "value" | "count"),
                args=[_, ast.Attribute(value=ast.Name(id="SQL"), attr=name)],
                keywords=keywords,
            ) if all(keyword.arg for keyword in keywords):
                passed = {str(keyword.arg) for keyword in keywords} - {"timeout"}
                if passed != set(sql.numbered(known[name])[1]):
                    yield f"{module.relative_to(ROOT)}:{node.lineno}: {name}"


def test_a_module_that_names_a_statement_which_its_file_lacks_cannot_be_imported(tmp_path: Path) -> None:
    module = tmp_path / "merge.py"
    module.with_suffix(".sql").write_text("-- name: lock\nSELECT 1\n\n-- name: count\nSELECT :n::int\n")
    module.write_text("SQL = sql.load(__file__)\nawait sql.run(session, SQL.lock)\n")
    loaded = sql.load(str(module))
    assert (loaded.lock, loaded.count) == ("SELECT 1", "SELECT :n::int")

    module.write_text("await sql.run(session, SQL.unlock)\n")
    with pytest.raises(LookupError, match=r"merge\.sql has no statement named unlock"):
        sql.load(str(module))


def test_statements_are_read_whatever_the_encoding_of_the_locale_is() -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | locale
    subprocess.run([sys.executable, "-P", "-c", "import db.jobs"], env=environment, check=True)


async def test_values_travel_as_parameters_in_a_session_and_on_a_connection(database: Database) -> None:
    statement = "SELECT :word::text AS word, ':word' AS literal, :n::int + :n AS twice -- people's :comment"
    async with database.writing() as session, database.reading() as connection:
        for runner in (session, connection):
            assert [tuple(row) for row in await sql.run(runner, statement, word="'; --", n=2)] == [
                ("'; --", ":word", 4)
            ]
            assert await sql.value(runner, statement, word="a", n=2) == "a"
            assert await sql.first(runner, "SELECT 1 WHERE :n > 1", n=1) is None
            assert await sql.count(runner, "SELECT generate_series(1, :n)", n=3) == 3
