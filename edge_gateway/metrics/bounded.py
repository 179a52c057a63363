"""A metric whose series are bounded: of too many label values the later ones are counted together, as `other`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

OTHER = "other"

Child = TypeVar("Child")


class Bounded(Generic[Child]):
    """A metric of prometheus_client by its labels' values; looking a series up again is looking into a dictionary."""

    def __init__(self, metric: Any, most: int) -> None:
        """`metric`: a Counter, Gauge or Histogram with labels; `most`: its series, but for those of `other`."""
        self._metric = metric
        self._most = most
        self._children: dict[tuple[str, ...], Child] = {}

    def of(self, *labels: str) -> Child:
        """The series of these label values, in the metric's order."""
        child = self._children.get(labels)
        if child is None:
            if len(self._children) >= self._most:
                labels = (OTHER,) * len(labels)
            child = self._children.get(labels) or self._metric.labels(*labels)
            self._children[labels] = child
        return child

    def begin(self, *values: str) -> None:
        """Show these values of the one label from the start: Prometheus takes what begins at 1 for no increase."""
        for value in values:
            self.of(value)

    def known(self) -> list[tuple[str, ...]]:
        """The label values that have a series."""
        return list(self._children)
