"""docker-compose.yml and Dockerfile, seen as far as they can be without an engine: valid, complete, and every command
of ours run as it is there, with the very environment, on a real Postgres and a server that speaks S3."""

import asyncio
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ruamel.yaml import YAML
from sqlalchemy.engine import make_url

from api import commands, embedded_postgres, settings
from api.__main__ import parser
from api.allowed_hosts import AllowedHosts
from api.embedded_postgres import supervisor
from api.embedded_postgres.server import shared_buffers
from schema.errors import Refused
from tests import s3
from tests.compose import ROOT, Missing, dockerfile, interpolated, is_in_build_context, services
from tests.db.dataset_fixture import image_bytes
from tests.settings_table import describe
from tests.snippets import snippet, snippets
from tests.waiting import TIMEOUT

SECRETS = ("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")
GIVEN = {"POSTGRES_PASSWORD": "pw1", "S3_ACCESS_KEY": "test", "S3_SECRET_KEY": "planted-secret"}
OURS = ("server", "worker", "migrate")
GUIDE = "docs/deployment.md"
CREATE, LOOK = snippet(GUIDE, "curl").documents
SAMPLES = """{ dataset(by: {name: "digits"}) { samples { nodes { path imageUrl thumbnailUrl labels { name } } } } }"""


def check(*arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", *arguments]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)


def test_the_file_is_what_the_compose_specification_says() -> None:
    result = check("docker-compose.yml")
    assert result.returncode == 0, result.stdout
    text = (ROOT / "docker-compose.yml").read_text()
    assert check("--default-filetype", "yaml", "-", text=text.replace("depends_on:", "depend_on:")).returncode == 1


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_must_be_given_and_none_is_committed(name: str) -> None:
    with pytest.raises(Missing, match=r"must stand in \.env"):
        services(GIVEN | {name: ""})
    assert re.search(rf"^{name}=$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert ".env" in (ROOT / ".gitignore").read_text().split()
    assert not is_in_build_context(".env")


def test_the_example_names_every_variable_of_the_file_and_no_other() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    named = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used == named


@pytest.mark.parametrize(
    ("text", "value"),
    [("${A}", "1"), ("${B:-x}", "x"), ("${B:-h:${C:-9}}", "h:9"), ("${A:-x}/${A:?no}", "1/1"), ("$$A", "$A")],
)
def test_variables_are_put_in_as_compose_does(text: str, value: str) -> None:
    assert interpolated(text, {"A": "1"}) == value


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_one_image_without_rights(name: str) -> None:
    service = services(GIVEN)[name]
    assert (service["image"], service["build"]) == ("labelgraph", ".")
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert parser().parse_args(service["command"]).command is getattr(commands, name.replace("server", "serve"))


def test_only_the_server_keeps_files_and_those_of_the_others_can_be_written() -> None:
    """What is not on a volume is on the one tmpfs that Docker and Podman both know."""
    for name in OURS:
        service, environment = services(GIVEN)[name], image_environment() | services(GIVEN)[name]["environment"]
        folder, [temporary] = environment["LABELGRAPH_DATA"], service["tmpfs"]
        assert folder.startswith(f"{temporary}/") or f"data:{folder}" in service.get("volumes", []) or name == "migrate"


@pytest.mark.parametrize("name", OURS)
def test_only_settings_that_there_are_are_set(name: str) -> None:
    known = {description.env for description in describe()}
    assert set(services(GIVEN)[name]["environment"]) <= known
    assert {name for name in image_environment() if name.startswith("LABELGRAPH_")} <= known


def test_what_lasts_is_healthy_and_comes_back_and_what_ends_is_waited_for() -> None:
    found = services(GIVEN)
    assert found.pop("migrate")["healthcheck"] == {"disable": True}
    assert "HEALTHCHECK" in {step.word for step in dockerfile()}  # the server's
    for name, service in found.items():
        assert service["restart"] == "unless-stopped"
        assert name == "server" or service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    for name in ("server", "worker"):
        conditions = {other: each["condition"] for other, each in found[name]["depends_on"].items()}
        assert conditions == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "s3": "service_healthy",
        }


def test_nothing_listens_beyond_this_machine_unless_it_is_asked_to() -> None:
    published = [port for service in services(GIVEN).values() for port in service.get("ports", [])]
    assert sorted(published) == ["127.0.0.1:8000:8000", "127.0.0.1:8333:8333"]


def test_other_machines_reach_the_server_by_the_names_that_are_given() -> None:
    """Its container knows none of the addresses under which its port is published."""
    for hosts, known in (("", False), ("192.168.1.20,labels.lan", True)):
        [server] = [service for name, service in services(GIVEN | {"HOSTS": hosts}).items() if name == "server"]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server["environment"].items():
                patch.setenv(name, value)
            names = AllowedHosts.of(settings.Settings.from_environment())
        for host, holds in (("localhost:8000", True), ("192.168.1.20:8000", known), ("labels.lan", known)):
            scope = {"type": "http", "server": ("172.18.0.3", 8000), "headers": [(b"host", host.encode())]}
            with nullcontext() if holds else pytest.raises(Refused, match="LABELGRAPH_HOSTS"):
                names.check(scope)


def test_postgres_is_set_as_the_embedded_one() -> None:
    service = services(GIVEN)["postgres"]
    given = dict(option.removeprefix("-c").split("=") for option in service["command"][1:])
    least = {**embedded_postgres.OPTIONS, "shared_buffers": shared_buffers(0)}
    assert given == {name: least[name] for name in given}
    programs = embedded_postgres.find_programs()
    made = shlex.split(service["environment"]["POSTGRES_INITDB_ARGS"])
    assert set(supervisor.locale_options(str(programs / "initdb"))) < set(made)


def test_images_are_pinned() -> None:
    bases = {step.rest.split()[0] for step in dockerfile() if step.word == "FROM"}
    others = {service["image"] for service in services(GIVEN).values()} - {"labelgraph"}
    assert all(re.search(r":\d+\.\d+", image) for image in bases | others)


def test_the_guide_names_what_there_is() -> None:
    text = (ROOT / GUIDE).read_text()
    known = {description.env for description in describe()}
    assert set(re.findall(r"LABELGRAPH_\w+", text)) <= known
    assert set(re.findall(r"^\| `(\w+)` ", text, re.MULTILINE)) == set(services(GIVEN))


def test_the_values_in_the_guide_are_taken() -> None:
    lines = shlex.split(snippet(GUIDE, "ADDRESS=").code, comments=True)
    found = services(GIVEN | dict(line.split("=", 1) for line in lines))
    assert found["server"]["ports"] == ["0.0.0.0:8000:8000"]
    s3_settings = [YAML(typ="safe").load(code) for code in snippets(GUIDE, "yaml") if code.startswith("LABELGRAPH_S3")]
    for environment in [found["server"]["environment"], *s3_settings]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            assert settings.Settings.from_environment().s3.is_configured


# -- the image --------------------------------------------------------------------------------------------------------


def image_environment() -> dict[str, str]:
    pairs = [pair.split("=", 1) for step in dockerfile() if step.word == "ENV" for pair in step.rest.split()]
    return dict(pairs)


REQUIREMENTS = ("requirements-setup.txt", "requirements.txt", "requirements-tracing.txt", "requirements-vision.txt")


def test_everything_copied_is_there_and_let_in() -> None:
    steps = [step for step in dockerfile() if step.word == "COPY" and "--from" not in step.rest]
    copied = [source for step in steps for source in step.rest.split()[:-1]]
    assert {"api", "schema", "db", *REQUIREMENTS} == set(copied)
    assert [source for source in copied if not (ROOT / source).exists() or not is_in_build_context(source)] == []


@pytest.mark.parametrize(
    "path", [".git/config", ".env", ".data/token", ".venv/bin/python", "tests/conftest.py", "api/__pycache__/app.pyc"]
)
def test_nothing_else_gets_into_the_image(path: str) -> None:
    assert not is_in_build_context(path)


def test_the_last_stage_installs_nothing_and_runs_as_an_ordinary_user() -> None:
    steps = list(dockerfile())
    last = [step for step in steps if step.stage == steps[-1].stage]
    assert not [step.rest for step in last if re.search(r"\bpip\b|apt", step.rest)]
    assert [step.rest for step in last if step.word == "USER"] == ["1000:1000"]


def test_every_file_that_the_process_reads_is_in_the_image() -> None:
    """A file next to the code that nobody copied would be missed at the first start, not here."""
    kept = subprocess.run(
        ["git", "ls-files", "api", "schema", "db"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [path for path in kept.stdout.split() if not is_in_build_context(path)] == []


# -- run by hand ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Composed:
    """The services of ours as processes of this machine: what the file names by the engine's names is elsewhere."""

    stand_ins: Mapping[str, str]
    port: int

    def here(self, text: str) -> str:
        for there, here in self.stand_ins.items():
            text = text.replace(there, here)
        return text

    def environment(self, name: str) -> dict[str, str]:
        found = (
            image_environment()
            | services(GIVEN | {"S3_PUBLIC_ENDPOINT": self.here("http://s3:8333")})[name]["environment"]
        )
        mine = {name: self.here(value) for name, value in found.items()}
        extra = {"LABELGRAPH_PORT": str(self.port), "LABELGRAPH_HOST": "127.0.0.1", "PATH": os.environ["PATH"]}
        return mine | extra

    def run(self, name: str, *arguments: str) -> str:
        """What a command that ends says."""
        command = [sys.executable, "-m", "api", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment(name), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    @contextmanager
    def running(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        command = [sys.executable, "-m", "api", *services(GIVEN)[name]["command"]]
        with subprocess.Popen(command, cwd=ROOT, env=self.environment(name), stdout=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    def healthy(self, test: list[str]) -> bool:
        """Whether a healthcheck, run as an engine would, is content."""
        kind, *words = test
        command = words if kind == "CMD" else ["/bin/sh", "-c", *words]
        command = [self.here(word) for word in command]
        if command[0] == "python":
            command[0] = sys.executable
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def soon_healthy(self, test: list[str]) -> bool:
        deadline = time.monotonic() + TIMEOUT
        while not self.healthy(test):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True


@pytest.fixture
async def composed(empty_database_url: str, s3_endpoint: str, tmp_path: Path) -> Composed:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    stand_ins = {
        "postgresql://labelgraph:pw1@postgres/labelgraph": empty_database_url,
        "http://s3:8333": s3_endpoint,
        "127.0.0.1:8000": f"127.0.0.1:{port}",
        "/images": str(tmp_path),
        "/data": str(tmp_path / "server"),
        services(GIVEN)["worker"]["environment"]["LABELGRAPH_DATA"]: str(tmp_path / "worker"),
    }
    return Composed(stand_ins, port)


def server_check() -> list[str]:
    [rest] = [step.rest for step in dockerfile() if step.word == "HEALTHCHECK"]
    kind, words = re.fullmatch(r"(?:--\S+ )*(CMD) (\[.*\])", rest).groups()  # type: ignore[union-attr]
    return [kind, *json.loads(words)]


def test_postgres_counts_as_healthy_when_it_answers(server_url: str) -> None:
    kind, program, *options = services(GIVEN)["postgres"]["healthcheck"]["test"]
    url = make_url(server_url)
    where = f"--host={url.host or url.query['host']}"
    for host, status in ((where, 0), ("--host=/nowhere", 2)):
        here = [host if option.startswith("--host=") else option for option in options]
        command = [str(embedded_postgres.find_programs() / program), *here]
        assert (kind, subprocess.run(command, capture_output=True, check=False).returncode) == ("CMD", status)


@pytest.mark.slow
async def test_from_nothing_to_a_synced_bucket(composed: Composed, s3_endpoint: str, tmp_path: Path) -> None:
    """The guide, as far as it goes without an engine."""
    worker_check = services(GIVEN)["worker"]["healthcheck"]["test"]
    async with s3.connected(s3_endpoint, "labelgraph") as bucket:
        for key, body in (("digits/1.png", image_bytes()), ("digits/1.txt", b"cat\n")):
            await bucket.client.put_object(Bucket="labelgraph", Key=key, Body=body)
        assert not composed.healthy(server_check())
        assert "this version's schema" in composed.run("migrate", *services(GIVEN)["migrate"]["command"])
        assert not composed.healthy(worker_check)
        with ExitStack() as stack:
            stack.enter_context(composed.running("server"))
            stack.enter_context(composed.running("worker"))
            assert composed.soon_healthy(server_check())
            assert composed.soon_healthy(worker_check)
            token = composed.run("server", "token", "create", "--name", "me", "--scope", "manage")
            found = await _synced(f"http://127.0.0.1:{composed.port}", token)
        stale = time.time() - 120
        os.utime(tmp_path / "worker" / "worker", (stale, stale))
        assert not composed.healthy(worker_check)
    assert found == {"path": "1.png", "labels": [{"name": "cat"}], "image": "image/png", "thumbnail": "image/jpeg"}


async def _synced(url: str, token: str) -> dict[str, Any]:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=TIMEOUT) as client:
        made = (await client.post(f"{url}/graphql", json={"query": CREATE})).json()
        assert "errors" not in made
        async with asyncio.timeout(TIMEOUT):
            while True:
                found = (await client.post(f"{url}/graphql", json={"query": LOOK})).json()["data"]["dataset"]
                if found["jobs"]["nodes"][0]["status"] == "SUCCEEDED":
                    break
                await asyncio.sleep(0.1)
        found = (await client.post(f"{url}/graphql", json={"query": SAMPLES})).json()["data"]["dataset"]
    [sample] = found["samples"]["nodes"]
    async with httpx2.AsyncClient(follow_redirects=True, timeout=TIMEOUT) as browser:
        image, thumbnail = [await browser.get(sample[name]) for name in ("imageUrl", "thumbnailUrl")]
    media = {"image": image.headers["content-type"], "thumbnail": thumbnail.headers["content-type"]}
    return {"path": sample["path"], "labels": sample["labels"]} | media
