"""The environment, read once."""

from pathlib import Path

import pytest

from api.settings import BadSetting, Settings


def test_defaults_are_a_loopback_server_with_a_postgres_of_its_own() -> None:
    settings = Settings.from_environment({})
    assert settings.embedded
    assert settings.host == "127.0.0.1"
    assert settings.worker
    assert settings.allowed_roots == ()


def test_every_kind_of_value_is_read_from_its_variable(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "DATABASE_URL": "postgresql://db/labels",
            "LABELGRAPH_PORT": "9000",
            "LABELGRAPH_WORKER": "no",
            "LABELGRAPH_ALLOW_ROOT": f"{tmp_path}:/srv",
            "LABELGRAPH_ALLOWED_ORIGINS": "https://a.example, https://b.example",
            "LABELGRAPH_LIMIT_BODY": "10",
            "LABELGRAPH_TIMEOUT_LOCK": "0.5",
        }
    )
    assert (settings.database_url, settings.port, settings.worker) == ("postgresql://db/labels", 9000, False)
    assert settings.allowed_roots == (tmp_path.resolve(), Path("/srv"))
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert (settings.limits.body, settings.timeouts.lock) == (10, 0.5)


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert Settings.from_environment({"DATABASE_URL": "", "LABELGRAPH_PORT": ""}) == Settings.from_environment({})


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
    ],
)
def test_a_value_that_cannot_be_understood_is_named(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"{name}={value} cannot be understood"):
        Settings.from_environment({name: value})


def test_paths_become_absolute_and_roots_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    settings = Settings().with_changes(data_dir=Path("data"), allowed_roots=(Path("link"),))
    assert settings.data_dir == tmp_path / "data"
    assert settings.allowed_roots == ((tmp_path / "real").resolve(),)


def test_a_stopping_server_outwaits_every_request() -> None:
    timeouts = Settings().timeouts
    assert timeouts.shutdown >= max(timeouts.query, timeouts.mutation) + 2
