"""A test runs each snippet of the manual, or there is a reason why none does; and what is sent fits the schema."""

import re
import shlex
from collections.abc import Iterator

from graphql import build_schema, parse, validate

from api.__main__ import parser
from schema import sdl
from tests.snippets import NOT_RUN, ROOT, RUN_BY, SNIPPETS, Snippet

COMMAND = re.compile(r"(?:\./labelgraph|-m api) ((?!test|bench|docs)\w[^<>()#\n]*)")


def listed() -> Iterator[tuple[str, str]]:
    for table in (RUN_BY, NOT_RUN):
        for page, rows in table.items():
            yield from ((page, beginning) for beginning in rows)


def matches(snippet: Snippet, row: tuple[str, str]) -> bool:
    return snippet.page == row[0] and snippet.code.startswith(row[1])


def test_each_snippet_is_in_the_table_once() -> None:
    """GraphQL is in no table: all of it is run. The tables are in `tests/snippets.py`."""
    others = [each for each in SNIPPETS if each.language != "graphql"]
    unlisted = [(each.page, each.code) for each in others if sum(matches(each, row) for row in listed()) != 1]
    assert unlisted == []
    assert [row for row in listed() if sum(matches(each, row) for each in others) != 1] == []


def test_the_tests_read_the_pages_whose_snippets_they_run() -> None:
    tests = {(page, test) for page, rows in RUN_BY.items() for test in rows.values()}
    assert [(page, test) for page, test in tests if page not in (ROOT / test).read_text()] == []


def test_every_document_is_valid() -> None:
    schema = build_schema(sdl())
    documents = [(each.page, document) for each in SNIPPETS for document in each.documents]
    assert [(page, error) for page, text in documents for error in validate(schema, parse(text))] == []
    assert len(documents) > sum(each.language == "graphql" for each in SNIPPETS)


def test_every_command_line_is_one() -> None:
    lines = [
        line for each in SNIPPETS if each.language == "sh" for line in COMMAND.findall(each.code.replace("`", "\n"))
    ]
    assert {line.split()[0] for line in lines} >= {"demo", "serve", "token", "backup", "sdl"}
    for line in lines:
        assert parser().parse_args(shlex.split(line)).command
