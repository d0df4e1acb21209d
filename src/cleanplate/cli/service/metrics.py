"""Figures for Prometheus; no label names a client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


class ServiceMetrics:
    """Counters of a service.

    Args:
        count_tasks: Gives the number of tasks by state and kind.
    """

    def __init__(self, count_tasks: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "cleanplate_requests", "Answered requests", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "cleanplate_work_seconds",
            "Time of pictures and clips in a worker",
            ("kind", "state"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_TaskCollector(count_tasks))

    def count_request(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def count_end(self, kind: str, state: str, seconds: float) -> None:
        """Count the end of a picture or a clip."""
        self._seconds.labels(kind, state).observe(seconds)

    def show(self) -> bytes:
        """All figures in the text format."""
        return generate_latest(self._registry)


class _TaskCollector:
    def __init__(self, count_tasks: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        self._count_tasks = count_tasks

    def collect(self) -> Iterator[Any]:
        family = GaugeMetricFamily(
            "cleanplate_tasks", "Tasks in the queue and in workers", labels=("state", "kind")
        )
        for labels, count in self._count_tasks().items():
            family.add_metric(labels, count)
        yield family
