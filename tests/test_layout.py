"""The layout of the code: what no linter checks."""

import ast
import dataclasses
import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

from api import server_configuration, settings
from db.formats import decoding
from db.postgres import engine
from db.queries import CallLimits
from db.storage import S3Config
from schema.execution.document_limits import DocumentLimits
from tests.settings_table import describe

ROOT = Path(__file__).parent.parent
LAYERS = ("api", "schema", "db")

# The versions that mended what their advisories describe, of what is between a client and the process.
SAFE = {
    "aiohttp": "3.14.4",
    "pillow": "12.3.0",
    "python-multipart": "0.0.32",
    "starlette": "1.3.1",
    "strawberry-graphql": "0.315.7",
    "uvicorn": "0.11.7",
}


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")


def imports(module: Path) -> set[str]:
    """The top names of everything a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Import(names=names):
                found |= {name.name.split(".")[0] for name in names}
            case ast.ImportFrom(module=str(name), level=0):
                found.add(name.split(".")[0])
    return found


def test_no_installed_distribution_owns_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {name: owners[name] for name in LAYERS if name in owners} == {}


@pytest.mark.parametrize(
    ("layer", "forbidden"),
    [
        ("db", {"api", "schema", "strawberry", "graphql", "starlette", "uvicorn"}),
        ("schema", {"api", "sqlalchemy", "sqlmodel", "asyncpg", "aioboto3", "PIL", "starlette", "uvicorn"}),
    ],
)
def test_a_layer_imports_nothing_that_belongs_to_another(layer: str, forbidden: set[str]) -> None:
    assert {str(module): found for module in modules(layer) if (found := imports(module) & forbidden)} == {}


def test_only_the_settings_read_the_environment() -> None:
    reading = re.compile(r"os\.(environ|getenv)|BaseSettings")
    readers = {module for module in modules(*LAYERS) if reading.search(module.read_text())}
    assert readers == {ROOT / "api" / "settings.py"}


def test_only_the_engine_commits() -> None:
    committers = {module.name for module in modules("schema", "db", "api") if ".commit()" in module.read_text()}
    assert committers <= {"engine.py"}


def test_the_demo_is_of_real_images_with_their_licence() -> None:
    images = ROOT / "examples" / "digits"
    assert len(list(images.rglob("*.JPG"))) >= 90
    assert "Apache License" in (images / "LICENSE").read_text()


def test_the_manual_lists_every_setting() -> None:
    rows = [f"| `{name}` | {default and f'`{default}`'} | {help_} |" for name, default, help_ in describe()]
    assert re.findall(r"^\| `.*$", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE) == rows
    assert set(re.findall(r"^\| `[A-Z0-9_]+` .*$", (ROOT / "README.md").read_text(), re.MULTILINE)) <= set(rows)


def test_contributing_lists_the_packages_of_db_in_the_order_in_which_they_call_each_other() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [packages] = [each["layers"] for each in contracts if each.get("containers") == ["db"]]
    listed = re.findall(r"^\| `(\w+)` \| ", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert listed == [name for name in packages if (ROOT / "db" / name).is_dir()]


def test_every_path_in_contributing_exists() -> None:
    paths = re.findall(r"`((?:api|schema|db|tests|docs)/[\w./]*)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert [path for path in paths if not (ROOT / path).exists()] == []


LIMITS: list[tuple[type, str, tuple[str, ...]]] = [
    (settings.Settings, r"(settings|self|ready|bare|own|changed)", ("api",)),
    (settings.Limits, "limits", ("api",)),
    (settings.Timeouts, "timeouts", ("api",)),
    (S3Config, "(config|settings)", ("db",)),  # the settings of S3 are its arguments
    (DocumentLimits, "limits", ("schema",)),
    (CallLimits, "limits", ("db", "schema")),
    (engine.Limits, "limits", ("db",)),
    (decoding.Limits, "limits", ("db", "api")),
]


@pytest.mark.parametrize(("owner", "holder", "readers"), LIMITS, ids=lambda each: getattr(each, "__qualname__", None))
def test_every_setting_and_limit_is_read(owner: type, holder: str, readers: tuple[str, ...]) -> None:
    """Also those into which settings are copied: a copy that nobody reads has no effect."""
    source = "".join(module.read_text() for module in modules(*readers))
    for name in getattr(owner, "model_fields", None) or [item.name for item in dataclasses.fields(owner)]:
        by_name = rf"\b_?{holder}\.{name}\b"
        measured = rf'counts\["{name}"\] \+?= |\b{name}=(len|sum)\('  # limits are looked up by the names of counts
        assert re.search(f"{by_name}|{measured}", source), f"{owner.__qualname__}.{name} is read nowhere"


def test_code_without_settings_has_the_settings_limits() -> None:
    assert server_configuration.document_limits(settings.Limits()) == DocumentLimits()
    assert server_configuration.call_limits(settings.Limits()) == CallLimits()


@pytest.mark.parametrize(("package", "least"), SAFE.items())
def test_what_faces_clients_is_no_older_than_its_last_advisory(package: str, least: str) -> None:
    assert Version(importlib.metadata.version(package)) >= Version(least)
