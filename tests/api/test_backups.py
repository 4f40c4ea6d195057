"""Backup and restore from the command line, while a server runs and into a new data directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.__main__ import main
from tests.api.test_serve import FIRST_QUERY, ROOT, SECONDS, Server, data_dir, labelgraph, running

__all__ = ["data_dir"]


def ended(*arguments: str) -> tuple[int, str]:
    with labelgraph(*arguments) as process:
        said = process.communicate(timeout=SECONDS)[0]
        return process.returncode, said


def answers(server: Server) -> list[object]:
    counts = (
        "{ datasets { nodes { id name revision statistics { totalCount labeledCount } labels { name sampleCount } } } }"
    )
    return [server.ask(counts), server.ask(FIRST_QUERY)["dataset"]["statistics"]]


@pytest.mark.slow
def test_a_running_demo_is_backed_up_and_comes_back_elsewhere(data_dir: Path, tmp_path: Path) -> None:
    file, elsewhere = tmp_path / "labelgraph.backup", data_dir / "elsewhere"
    with running("demo", data_dir) as server:
        expected = answers(server)
        code, said = ended("backup", str(file), "--data", str(data_dir))
        assert (code, said.startswith("Backed up 2 datasets, ")) == (0, True)
        assert answers(server) == expected
        assert ended("restore", str(file), "--data", str(data_dir))[0] == 1
        assert server.stop() == 0
    assert file.stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
    code, said = ended("restore", str(file), "--data", str(elsewhere))
    assert (code, said.startswith("Restored 2 datasets, ")) == (0, True)
    with running("serve", elsewhere) as again:
        assert answers(again) == expected
        assert again.stop() == 0
    assert ended("restore", str(file), "--data", str(elsewhere))[0] == 1


@pytest.mark.slow
def test_a_backup_passes_through_pipes(data_dir: Path, tmp_path: Path) -> None:
    command = f'"$0" -P -m api backup - --data {data_dir}/a | "$0" -P -m api restore - --data {data_dir}/b'
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        ["sh", "-c", command, sys.executable],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.startswith("Restored 0 datasets, "), done.stderr


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("nowhere", None, "No such file or directory"),
        ("folder", "", "Is a directory"),
        ("text", "no backup", "The file is not a backup, or it is damaged"),
    ],
)
def test_what_is_no_backup_is_reported(
    name: str,
    content: str | None,
    why: str,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / name
    if content:
        path.write_text(content)
    elif content is not None:
        path.mkdir()
    monkeypatch.setenv("DATABASE_URL", database_url)
    with pytest.raises(SystemExit) as refused:
        main(["restore", str(path)])
    assert why in str(refused.value.code)


@pytest.mark.parametrize(
    ("path", "why"), [("nowhere/file", "There is no directory {}/nowhere"), (".", "{} is a directory")]
)
def test_a_file_that_cannot_be_written_is_reported(
    path: str, why: str, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    with pytest.raises(SystemExit) as refused:
        main(["backup", str(tmp_path / path)])
    assert why.format(tmp_path) in str(refused.value.code)
    assert list(tmp_path.iterdir()) == []
