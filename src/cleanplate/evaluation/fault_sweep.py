"""Quality against the strength of one fault at a time, all others at their usual strength.

The cases come from :mod:`cleanplate.training.synthesis.synthesis` and need the extra ``train``. Each case has
its own seed, so every strength has the same scenes (unless a fault changes the random numbers after it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cleanplate.errors import OptionError
from cleanplate.evaluation.chart import draw_chart
from cleanplate.evaluation.evaluate_cases import Peer, evaluate
from cleanplate.evaluation.evaluation_report import FORMAT, Tally, align, peers_to_json
from cleanplate.evaluation.made_cases import draw_cases, load_synthesis, open_material
from cleanplate.evaluation.score import METRICS

STRENGTHS = (0.0, 0.5, 1.0, 2.0, 4.0)
UNSEEN = "coverage"
"""A fault that cases cannot have, as a plate in a file has no validity mask."""

Sweep = dict[str, list[tuple[float, Tally]]]


def list_faults() -> list[str]:
    """List the faults that can be swept.

    Raises:
        MissingExtraError: PyTorch is not installed.
    """
    return [name for name in load_synthesis().Faults.names() if name != UNSEEN]


def sweep(
    data: str | Path,
    faults: Sequence[str],
    peers: Sequence[Peer],
    *,
    count: int,
    size: tuple[int, int],
    seed: int = 0,
    region: str = "all",
    strengths: Sequence[float] = STRENGTHS,
    on_case: Callable[[], None] = lambda: None,
) -> Sweep:
    """Evaluate peers at each strength of each fault.

    Args:
        data: Training material; only its validation part is used.
        faults: Names of :func:`list_faults`.
        peers: Peers to compare.
        count: Number of cases at each strength.
        size: ``(height, width)`` of the cases.
        seed: Seed of the cases.
        region: Region of the metrics.
        strengths: Strengths of the fault: 0 is none, 1 is that of a careful amateur.
        on_case: Callback after each case.

    Raises:
        OptionError: A fault is unknown.
        InputError: The material is missing or damaged.
        MissingExtraError: PyTorch is not installed.
    """
    known = list_faults()
    for fault in faults:
        if fault not in known:
            raise OptionError(f"Unknown fault {fault!r}.", f"known: {', '.join(known)}")
    material = open_material(data, "validation")
    usual = load_synthesis().MEDIUM
    found: Sweep = {}
    for fault in faults:
        found[fault] = []
        for strength in strengths:
            tally = Tally([peer.name for peer in peers])
            cases = draw_cases(material, usual.with_strength(fault, strength), count, size, seed)
            for outcome in evaluate(cases, peers, region):
                tally.add(outcome)
                on_case()
            found[fault].append((strength, tally))
    return found


def chart_of(fault: str, found: Sequence[tuple[float, Tally]], metric: str = "mad") -> str:
    """Draw one fault's chart as SVG."""
    shown = METRICS[metric]
    lines = {
        peer: [(strength, shown.factor * tally.means(peer)[metric]) for strength, tally in found]
        for peer in found[0][1].peers
    }
    return draw_chart(
        f"{shown.title} against {fault}",
        f"strength of {fault} (1: usual)",
        f"{shown.title} x {shown.factor:g}",
        lines,
    )


def draw_sweep_table(found: Sweep, metric: str = "mad") -> str:
    """Draw one metric as text: a row for each peer and fault, a column for each strength."""
    shown = METRICS[metric]
    rows = []
    for fault, of_strengths in found.items():
        rows.append([f"{shown.title} against {fault}", *(f"{strength:g}" for strength, _ in of_strengths)])
        for peer in of_strengths[0][1].peers:
            values = [shown.factor * tally.means(peer)[metric] for _, tally in of_strengths]
            rows.append([f"  {peer}", *(f"{value:.2f}" for value in values)])
    return "\n".join(align(rows))


def sweep_to_json(found: Sweep, setup: Mapping[str, Any]) -> dict[str, Any]:
    """Convert all results to JSON types; see :func:`cleanplate.evaluation.evaluation_report.to_json`."""
    return {
        "format": FORMAT,
        "setup": dict(setup),
        "sweep": {
            fault: [{"strength": strength, "peers": peers_to_json(tally)} for strength, tally in of_strengths]
            for fault, of_strengths in found.items()
        },
    }
