"""Metrics of one matte, with their names and their units in tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cleanplate.errors import OptionError
from cleanplate.evaluation import metrics
from cleanplate.evaluation.cases import CaseFrame
from cleanplate.evaluation.difference_keyer import to_unit
from cleanplate.frame import BoolArray, Float32Array, Matte, Pixels

REGIONS = ("all", "unknown")

Scores = dict[str, float]
"""Scores of a frame, a clip or many cases, by the names in :data:`METRICS`, in the units of ``metrics``; NaN
where undefined."""


@dataclass(frozen=True)
class Metric:
    """Display of a metric: a column's title, and the factor from its unit to the table's."""

    title: str
    factor: float


METRICS: Mapping[str, Metric] = {
    "mad": Metric("MAD", 1e3),
    "mse": Metric("MSE", 1e3),
    "sad": Metric("SAD", 1),
    "gradient": Metric("Grad", 1),
    "connectivity": Metric("Conn", 1),
    "foreground_mse": Metric("F MSE", 1e3),
    "leak": Metric("leak", 1e3),
    "holes": Metric("holes", 1e3),
    "edge": Metric("edge", 1e3),
    "recomposed": Metric("over", 1e3),
    "dtssd": Metric("dtSSD", 1e2),
}

UNITS = "SAD, Grad and Conn in thousands, dtSSD times 100, all others times 1000"


def score_frame(matte: Matte, truth: CaseFrame, region: str = "all") -> Scores:
    """Compute all metrics of a single frame.

    Args:
        matte: Matte of ``truth.source``.
        truth: The frame with its true alpha and foreground.
        region: ``all`` pixels, or the ``unknown`` part of the trimap of the true alpha. Leak, holes, edge
            and the recomposed picture have regions of their own.
    """
    where = find_region(truth.alpha, region)
    alpha = matte.alpha
    return {
        "mad": metrics.mad(alpha, truth.alpha, where),
        "mse": metrics.mse(alpha, truth.alpha, where),
        "sad": metrics.sad(alpha, truth.alpha, where),
        "gradient": metrics.gradient_error(alpha, truth.alpha, where),
        "connectivity": metrics.connectivity_error(alpha, truth.alpha, where),
        "foreground_mse": _score_foreground(matte.foreground, truth, where),
        "leak": metrics.leak(alpha, truth.alpha),
        "holes": metrics.holes(alpha, truth.alpha),
        "edge": metrics.edge_mad(alpha, truth.alpha),
        "recomposed": _score_recomposed(matte, truth),
        "dtssd": math.nan,
    }


def find_region(truth: Float32Array, region: str) -> BoolArray | None:
    """Make the mask of a named region; None for the whole picture.

    Raises:
        OptionError: The region is unknown.
    """
    if region not in REGIONS:
        raise OptionError(f"Unknown region {region!r}.", f"known: {', '.join(REGIONS)}")
    return None if region == "all" else metrics.trimap_of(truth) == metrics.UNKNOWN


def mean_scores(scores: Iterable[Scores]) -> Scores:
    """Compute the mean of each metric over the scores that have it."""
    return _reduce(np.mean, scores)


def median_scores(scores: Iterable[Scores]) -> Scores:
    """Compute the median of each metric over the scores that have it."""
    return _reduce(np.median, scores)


def _reduce(how: Callable[[list[float]], Any], scores: Iterable[Scores]) -> Scores:
    rows = list(scores)
    known = {name: [row[name] for row in rows if not math.isnan(row[name])] for name in METRICS}
    return {name: float(how(values)) if values else math.nan for name, values in known.items()}


def _score_foreground(foreground: Pixels, truth: CaseFrame, where: BoolArray | None) -> float:
    if truth.foreground is None:
        return math.nan
    return metrics.foreground_mse(to_unit(foreground), to_unit(truth.foreground), truth.alpha, where)


def _score_recomposed(matte: Matte, truth: CaseFrame) -> float:
    if truth.foreground is None:
        return math.nan
    colours = to_unit(matte.foreground), to_unit(truth.foreground)
    return metrics.recomposition_error(matte.alpha, colours[0], truth.alpha, colours[1])
