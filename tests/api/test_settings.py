"""The environment, read once."""

from pathlib import Path

import pytest

from api.settings import BadSetting, Settings
from tests.settings_table import describe


def from_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings.from_environment()


def test_defaults_are_a_loopback_server_with_a_postgres_of_its_own() -> None:
    settings = Settings.from_environment()
    assert settings.embedded
    assert settings.host == "127.0.0.1"
    assert settings.worker
    assert settings.allowed_roots == ()


def test_every_kind_of_value_is_read_from_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_environment(
        monkeypatch,
        {
            "DATABASE_URL": "postgresql://db/labels",
            "LABELGRAPH_PORT": "9000",
            "LABELGRAPH_WORKER": "no",
            "LABELGRAPH_ALLOW_ROOT": f"{tmp_path}:/srv",
            "LABELGRAPH_ALLOWED_ORIGINS": "https://a.example, https://b.example",
            "LABELGRAPH_LIMIT_BODY": "10",
            "LABELGRAPH_LOG_LEVEL": "DEBUG",
            "LABELGRAPH_TIMEOUT_LOCK": "0.5",
        },
    )
    assert (settings.database_url, settings.port, settings.worker) == ("postgresql://db/labels", 9000, False)
    assert settings.allowed_roots == (tmp_path.resolve(), Path("/srv"))
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert (settings.limits.body, settings.timeouts.lock, settings.log_level) == (10, 0.5, "debug")


@pytest.mark.parametrize(("text", "value"), [(" false ", False), ("OFF\r", False), ("\tYes", True)])
def test_space_around_true_and_false_does_not_count(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    assert from_environment(monkeypatch, {"LABELGRAPH_WORKER": text}).worker is value


def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELGRAPH_PORT", "9000")
    assert Settings.from_environment(port=1).port == 1


@pytest.mark.parametrize(
    "variables",
    [
        {description.env: "" for description in describe()},
        {"LABELGRAPH_LIMITS": "{}", "LABELGRAPH_S3": "no", "LABELGRAPH_NO_SUCH_SETTING": "1", "labelgraph_port": "1"},
        {"port": "1", "secret": "x", "database_url": "mysql://u:p@host/db", "region": "x", "body": "1", "s3": "x"},
    ],
    ids=["empty", "unknown", "names of fields"],
)
def test_empty_and_unknown_variables_count_as_absent(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    defaults = Settings.from_environment()
    assert from_environment(monkeypatch, variables) == defaults


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LABELGRAPH_PORT", "eighty"),
        ("LABELGRAPH_PORT", "-1"),
        ("LABELGRAPH_WORKER", "perhaps"),
        ("LABELGRAPH_TIMEOUT_QUERY", "inf"),
        ("LABELGRAPH_TIMEOUT_QUERY", "0"),
        ("LABELGRAPH_S3_DEADLINE", "0.0"),
        ("LABELGRAPH_URL_LIFETIME", "0"),
        ("LABELGRAPH_LIMIT_BODY", "-1"),
        ("LABELGRAPH_REMOVAL_PERCENT", "150"),
        ("LABELGRAPH_LOG_LEVEL", "loud"),
        ("LABELGRAPH_S3_ENDPOINT", "s3.example"),
        ("LABELGRAPH_PUBLIC_URL", "https://labels.example:0"),
        ("LABELGRAPH_HOSTS", "http://a/b"),
        ("LABELGRAPH_HOSTS", "::1"),
        ("LABELGRAPH_ALLOWED_ORIGINS", "labels.example"),
        ("LABELGRAPH_ALLOWED_ORIGINS", "https://labels.example/"),
    ],
)
def test_a_value_that_cannot_be_understood_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{name}={value} cannot be understood: it should be .*\\.$"):
        from_environment(monkeypatch, {name: value})


@pytest.mark.parametrize("name", ["DATABASE_URL", "LABELGRAPH_LISTEN_URL"])
def test_the_text_of_a_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(BadSetting) as raised:
        from_environment(monkeypatch, {name: "mysql://user:hunter2@host/db"})
    assert (
        str(raised.value)
        == f"{name} cannot be understood: it should be a URL as postgresql://user:password@host:5432/database."
    )
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("hosts", ["db", "a,b:5433", "a:5432,b:5433", "[::1]:5432,b", "", "%2Frun%2Fpostgresql,b:1"])
def test_a_url_may_name_several_hosts_of_postgres(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    url = f"postgresql://me:secret@{hosts}/labels?target_session_attrs=read-write"
    settings = from_environment(monkeypatch, {"DATABASE_URL": url, "LABELGRAPH_READ_URLS": f"{url} {url}"})
    assert (settings.database_url, settings.read_urls) == (url, (url, url))


@pytest.mark.parametrize("hosts", ["a:0", "a,b:x", "a:5432,b:0", "a:5432,b:70000"])
def test_each_port_of_postgres_is_checked(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    with pytest.raises(BadSetting, match=r"^LABELGRAPH_READ_URLS cannot be understood"):
        from_environment(monkeypatch, {"LABELGRAPH_READ_URLS": f"postgresql://{hosts}/labels"})


@pytest.mark.parametrize("hosts", ["*", "labels.lan, 192.168.1.20:8000,[::1]:8000", "under_score"])
def test_names_of_hosts_are_taken_with_and_without_a_port(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    settings = from_environment(monkeypatch, {"LABELGRAPH_HOSTS": hosts})
    assert settings.hosts == tuple(hosts.replace(" ", "").split(","))


def test_paths_become_absolute_and_roots_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    settings = Settings(data_dir=Path("data"), allowed_roots=(Path("link"),))
    assert settings.data_dir == tmp_path / "data"
    assert settings.allowed_roots == ((tmp_path / "real").resolve(),)


def test_a_stopping_server_outwaits_every_request() -> None:
    timeouts = Settings().timeouts
    assert timeouts.shutdown >= max(timeouts.query, timeouts.mutation) + 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "server"])  # noqa: S104 (refused)
def test_metrics_that_others_could_read_need_a_token(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    variables = {"LABELGRAPH_METRICS_PORT": "9464", "LABELGRAPH_METRICS_HOST": host}
    with pytest.raises(BadSetting, match=r"^LABELGRAPH_METRICS_HOST needs LABELGRAPH_METRICS_TOKEN: .*\.$"):
        from_environment(monkeypatch, variables)
    assert from_environment(monkeypatch, variables | {"LABELGRAPH_METRICS_TOKEN": "x"}).metrics_host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_metrics_on_loopback_need_none(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    variables = {"LABELGRAPH_METRICS_PORT": "9464", "LABELGRAPH_METRICS_HOST": host}
    assert from_environment(monkeypatch, variables).metrics_port == 9464


def test_each_of_several_processes_has_a_port_for_its_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"LABELGRAPH_METRICS_PORT": "65532", "LABELGRAPH_PROCESSES": "4"}
    with pytest.raises(BadSetting, match=r"^LABELGRAPH_METRICS_PORT must be at most 65531 .* is 65532\.$"):
        from_environment(monkeypatch, variables)
    assert from_environment(monkeypatch, variables | {"LABELGRAPH_PROCESSES": "3"}).processes == 3


@pytest.mark.parametrize("share", ["1.5", "-0.1", "nan", "all"])
def test_a_share_is_a_number_from_0_to_1(monkeypatch: pytest.MonkeyPatch, share: str) -> None:
    with pytest.raises(BadSetting, match=f"^LABELGRAPH_TRACE_SHARE={share} cannot be understood"):
        from_environment(monkeypatch, {"LABELGRAPH_TRACE_SHARE": share})
