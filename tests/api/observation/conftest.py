"""Metrics as Prometheus reads them: at their port, by its own parser."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.settings import Settings
from tests.client import Client


@dataclass(frozen=True, slots=True)
class Scrape:
    """The values by the names of the samples and their labels."""

    text: str
    values: Mapping[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> "Scrape":
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(values) == len(samples), "a series is there twice"
        return cls(text, values)

    def get(self, name: str, **labels: str) -> float:
        """The value; 0 where nothing was counted yet."""
        return self.values.get((f"labelgraph_{name}", frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all series with these labels among theirs."""
        required = frozenset(labels.items())
        return sum(
            value for (found, own), value in self.values.items() if found == f"labelgraph_{name}" and required <= own
        )

    def labels(self, name: str, label: str) -> set[str]:
        return {dict(labels)[label] for found, labels in self.values if found == f"labelgraph_{name}"}


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Reads the metrics of the last server that was started in this process; it logs where."""

    caplog: pytest.LogCaptureFixture

    @property
    def url(self) -> str:
        records = self.caplog.get_records("setup") + self.caplog.get_records("call")
        *_, line = (each.getMessage() for each in records if each.name == "api.observation.server")
        return line.removeprefix("metrics are at ").removesuffix("/metrics")

    async def scrape(self, token: str | None = None) -> Scrape:
        answer = await Client(self.url, token).request("GET", "/metrics")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        return Scrape.of(answer.text)


@pytest.fixture
def prometheus(caplog: pytest.LogCaptureFixture) -> Prometheus:
    caplog.set_level(logging.INFO, "api.observation.server")
    return Prometheus(caplog)


@pytest.fixture
def settings(settings: Settings, prometheus: Prometheus) -> Settings:
    return settings.with_changes(metrics_port=0)
