"""The pinned requirements: complete, extras included, and installable by an old pip on any later day."""

import hashlib
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FILES = ("requirements", "requirements-dev")
PACKAGES = Path(sysconfig.get_path("purelib"))
OLDEST_PIP = Path(sys.prefix, "oldest-pip")
NEWER = "999999"

# Each asks for other packages: what is pinned must do for all.
TARGETS: tuple[Mapping[str, str], ...] = tuple(
    {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "implementation_version": f"{version}.0",
        "sys_platform": platform,
        "platform_system": system,
        "platform_machine": machine,
        "os_name": "posix",
    }
    for version, (platform, system, machine) in itertools.product(
        ("3.11", "3.12", "3.13", "3.14"), (("linux", "Linux", "x86_64"), ("darwin", "Darwin", "arm64"))
    )
)


def blocks(path: Path) -> list[str]:
    """Each requirement of a file with the lines of its hashes."""
    return re.split(r"\n(?=\S)", path.read_text().strip())


def requirement(block: str) -> Requirement:
    return Requirement(block.split(" \\\n")[0])


def pins(name: str) -> list[Requirement]:
    return [requirement(block) for block in blocks(ROOT / f"{name}.txt")]


def applies(requirement: Requirement, target: Mapping[str, str], extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**target, "extra": extra})


def missing(pinned: list[Requirement], target: Mapping[str, str]) -> Iterator[str]:
    """What the pinned packages require, and no pin has, or not with its extras."""
    given = {canonicalize_name(pin.name): pin for pin in pinned if applies(pin, target)}
    for name, pin in given.items():
        for text in requires(name):
            asked = Requirement(text)
            if not any(applies(asked, target, extra) for extra in ("", *pin.extras)):
                continue
            found = given.get(canonicalize_name(asked.name))
            if found is None or not asked.extras <= found.extras:
                yield f"{pin} asks for {asked}, and the pin is {found}"


def requires(name: str) -> list[str]:
    return importlib.metadata.requires(name) or [] if is_installed(name) else []


def is_installed(name: str) -> bool:
    """Not so: what other platforms need, and on musl the embedded Postgres."""
    return next(iter(importlib.metadata.distributions(name=name)), None) is not None


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target['sys_platform']}-{target['python_version']}")
@pytest.mark.parametrize("name", FILES)
def test_every_requirement_of_every_package_is_pinned_with_its_extras(name: str, target: Mapping[str, str]) -> None:
    assert list(missing(pins(name), target)) == []


@pytest.mark.parametrize("name", FILES)
def test_everything_asked_for_is_pinned_with_its_extras(name: str) -> None:
    lines = (ROOT / f"{name}.in").read_text().splitlines()
    asked = [Requirement(line) for line in lines if not line.startswith("-r")]
    pinned = {pin.name: pin for pin in pins(name)}
    lacking = [
        str(each)
        for each in asked
        if each.specifier != pinned[each.name].specifier or not each.extras <= pinned[each.name].extras
    ]
    assert lacking == []


def test_the_packages_of_the_client_suites_are_exact_hashed_and_name_no_host() -> None:
    folder = ROOT / "tests" / "clients"
    asked = json.loads((folder / "package.json").read_text())["dependencies"]
    assert {name: version for name, version in asked.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)} == {}
    lock = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert lock.pop("")["dependencies"] == asked
    assert [name for name, package in lock.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in lock.items() if "resolved" in package] == []


@pytest.mark.parametrize(
    "path",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-tracing.txt",
        "requirements-vision.txt",
        "requirements-setup.txt",
        "tests/oldest_pip.txt",
        "tests/clients/python/ariadne.txt",
        "tests/clients/python/gql.txt",
        "tests/formats/requirements.txt",
    ],
)
def test_requirements_are_exact_hashed_and_name_no_host(path: str) -> None:
    text = (ROOT / path).read_text()
    assert re.search(r"https?:|file:|--(extra-)?index-url|--find-links|(?m:^-e)", text) is None
    for block in blocks(ROOT / path):
        assert [specifier.operator for specifier in requirement(block).specifier] == ["=="]
        assert "--hash=sha256:" in block


# -- set-up with the oldest pip, on a day when everything has a newer release ------------------------------------------


class Index:
    """A folder of wheels, the only index of a set-up: every pinned release and a newer one, pip's own included."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def requirements(self, path: Path) -> str:
        """The text of a requirements file with the hashes of this index."""
        return "\n".join(map(self._line, blocks(path)))

    def _line(self, block: str) -> str:
        pin = requirement(block)
        if not applies(pin, {}) or not is_installed(pin.name):
            return block
        version = next(iter(pin.specifier)).version
        self._release(pin.name, NEWER)
        digest = self._pip(version) if pin.name == "pip" else self._release(pin.name, version)
        return f"{pin} --hash=sha256:{digest}"

    def _release(self, name: str, version: str) -> str:
        """A package without files, with the requirements of the installed one."""
        real = importlib.metadata.metadata(name)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"{key}: {value}" for key in ("Provides-Extra", "Requires-Dist") for value in real.get_all(key) or ()]
        return self._wheel(name, version, {"METADATA": "\n".join(lines).encode()})

    def _pip(self, version: str) -> str:
        """That release of pip, which works: one of the two that are installed here."""
        home = next(folder for folder in (PACKAGES, OLDEST_PIP) if (folder / f"pip-{version}.dist-info").exists())
        about = home / f"pip-{version}.dist-info"
        code = [file for file in (home / "pip").rglob("*") if file.suffix in (".py", ".pem")]
        described = {name: (about / name).read_bytes() for name in ("METADATA", "entry_points.txt")}
        return self._wheel("pip", version, described, {str(file.relative_to(home)): file.read_bytes() for file in code})

    def _wheel(
        self, name: str, version: str, about: Mapping[str, bytes], code: Mapping[str, bytes] | None = None
    ) -> str:
        stem = f"{re.sub('[-.]+', '_', name)}-{version}"
        path = self.folder / f"{stem}-py3-none-any.whl"
        about = {"WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n", "RECORD": b"", **about}
        with zipfile.ZipFile(path, "w") as wheel:
            for file, content in [
                *(code or {}).items(),
                *((f"{stem}.dist-info/{file}", about[file]) for file in about),
            ]:
                wheel.writestr(zipfile.ZipInfo(file), content)  # with a fixed date: the same wheel each time
        return hashlib.sha256(path.read_bytes()).hexdigest()


class NewMachine:
    """A checkout with the real script, on a machine that reaches only such an index, and whose pip is the oldest."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.index = Index(folder / "index")
        for file in ("requirements.txt", "requirements-dev.txt", "requirements-setup.txt", "tests/oldest_pip.txt"):
            self._write(file, self.index.requirements(ROOT / file))
        self._write("api/__main__.py", "print('started')")
        self._write("benchmarks/__main__.py", "print('started')")
        shutil.copy(ROOT / "labelgraph", self.root)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.root / ".venv"], check=True)
        self.packages = next((self.root / ".venv" / "lib").glob("python*/site-packages"))
        shutil.copytree(OLDEST_PIP, self.packages, dirs_exist_ok=True)

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index.folder)}
        environment |= {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
        return subprocess.run(
            [self.root / "labelgraph", command], env=environment, capture_output=True, text=True, timeout=600
        )

    def versions(self) -> dict[str, str]:
        found = importlib.metadata.distributions(path=[str(self.packages)])
        return {canonicalize_name(each.name): each.version for each in found}

    def _write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)


def versions(pinned: list[Requirement]) -> dict[str, str]:
    here = [pin for pin in pinned if applies(pin, {}) and is_installed(pin.name)]
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in here}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "command"), [("requirements", "sdl"), ("requirements-dev", "bench")])
def test_the_oldest_pip_sets_up_what_is_pinned_although_everything_has_a_newer_release(
    name: str, command: str, tmp_path: Path
) -> None:
    machine = NewMachine(tmp_path)
    assert machine.versions().keys() == {"pip"}
    done = machine.run(command)
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    assert machine.versions() == versions(pins(name) + pins("requirements-setup"))


def test_the_oldest_pip_is_the_one_that_the_first_release_of_this_python_brought() -> None:
    promised = versions([requirement(block) for block in blocks(ROOT / "tests" / "oldest_pip.txt")])
    found = importlib.metadata.distributions(path=[str(OLDEST_PIP)])
    assert {each.name: each.version for each in found} == promised


def test_a_pin_without_its_extras_is_noticed() -> None:
    """`coverage` without `[toml]`: an old pip then looks for the newest release, which has no hash here."""
    stripped = [Requirement(re.sub(r"^coverage\[toml\]", "coverage", str(pin))) for pin in pins("requirements-dev")]
    assert [each.split(", and")[0] for each in missing(stripped, TARGETS[0])] == [
        "pytest-cov==7.1.0 asks for coverage[toml]>=7.10.6"
    ]
