"""Scrapes a service as Prometheus would, and reads what comes."""

import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from tests.processes import NEVER

Series = tuple[str, frozenset[tuple[str, str]]]


def exposition(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=NEVER) as answer:
        assert answer.headers["content-type"].startswith("text/plain")
        return answer.read().decode()


def series_of(text: str) -> dict[Series, float]:
    """Each series with its value."""
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


class Scrape:
    """What one service showed at one moment."""

    def __init__(self, port: int) -> None:
        self.text = exposition(port)
        self.series = series_of(self.text)

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of all series of this name that have these labels."""
        wanted = set(labels.items())
        return sum(value for (found, has), value in self.series.items() if found == name and wanted <= has)


class Since:
    """What was counted since this was made."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._before = Scrape(port)

    def __call__(self, name: str, **labels: str) -> float:
        return Scrape(self._port)(name, **labels) - self._before(name, **labels)

    def all(self, counted: Mapping[tuple[str, ...], float]) -> bool:
        """Whether each of these, a name and label=value words, has grown by so much."""
        now = Scrape(self._port)
        grown = {}
        for entry in counted:
            labels = dict(word.split("=", 1) for word in entry[1:])
            grown[entry] = now(entry[0], **labels) - self._before(entry[0], **labels)
        return grown == dict(counted)
