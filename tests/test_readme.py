"""The commands of the README, and the operations of the client suites."""

import re
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from api.__main__ import parser
from benchmarks.__main__ import BENCHMARKS
from schema import sdl

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"\./labelgraph ([a-z]+)", README)) - {"test", "bench", "docs"})


@pytest.mark.parametrize("folder", ["tests/clients", "examples/web/src", "examples/python", "examples/typescript/src"])
def test_every_operation_of_the_clients_is_valid(folder: str) -> None:
    """`./labelgraph test --clients` and `--browser` run them; this test needs no Node."""
    operations = (ROOT / folder / "operations.graphql").read_text()
    assert validate(build_schema(sdl()), parse(operations)) == []


def test_every_command_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    known = capsys.readouterr().out
    assert [command for command in COMMANDS if f"    {command} " not in known] == []


@pytest.mark.parametrize("command", ["demo", "serve", "worker", "migrate", "check"])
def test_the_table_of_commands_has_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out.partition("\n\n")[0]))
    [row] = re.findall(rf"^\| `\./labelgraph {command} (.*?)` \|", README, re.MULTILINE)
    assert set(re.findall(r"--[a-z-]+", row)) == options


def test_every_benchmark_is_named() -> None:
    for text, between in ((README, r"\|"), ((ROOT / "labelgraph").read_text(), " | ")):
        assert f"bench [{between.join(BENCHMARKS)}]" in text


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:api|schema|db|tests|docs|examples|benchmarks)/[\w./]*)`", README)))
)
def test_every_place_on_the_map_is_there(path: str) -> None:
    assert (ROOT / path).exists()
