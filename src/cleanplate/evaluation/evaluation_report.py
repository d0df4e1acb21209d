"""Results of an evaluation as a table, as JSON, and as a folder with sheets of the worst cases."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cleanplate.errors import OutputError
from cleanplate.evaluation.cases import write_text
from cleanplate.evaluation.error_sheets import Exhibit, draw_side_by_side, draw_worst, make_exhibit
from cleanplate.evaluation.evaluate_cases import Outcome
from cleanplate.evaluation.score import METRICS, UNITS, Scores, mean_scores, median_scores
from cleanplate.media import write_image
from cleanplate.system.temporary_files import make_folder

FORMAT = "cleanplate-report-1"
REPORT = "report.json"
WORST = 8
"""Number of cases on a sheet."""


class Tally:
    """Collects outcomes: their scores, and the pictures of each peer's worst cases only.

    Args:
        peers: Names of the peers, in the order of the table.
    """

    def __init__(self, peers: Sequence[str]) -> None:
        self.peers = tuple(peers)
        self.outcomes: list[Outcome] = []
        self._worst: dict[str, list[Exhibit]] = {peer: [] for peer in peers}

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a case."""
        mad = {peer: outcome.scores[peer]["mad"] for peer in self.peers if peer in outcome.scores}
        for peer, view in outcome.views.items():
            kept = self._worst[peer]
            if len(kept) < WORST or mad[peer] > kept[-1].mad[peer]:
                kept.append(make_exhibit(outcome.case, mad, view))
                kept.sort(key=lambda exhibit: -exhibit.mad[peer])
                del kept[WORST:]
        self.outcomes.append(
            Outcome(outcome.case, outcome.kind, outcome.frames, outcome.scores, outcome.refused)
        )

    def means(self, peer: str, kind: str | None = None) -> Scores:
        """Compute a peer's means over the cases of one kind, or of all."""
        return mean_scores(self._scores(peer, kind))

    def medians(self, peer: str) -> Scores:
        """Compute a peer's medians over the cases."""
        return median_scores(self._scores(peer))

    def refused(self, peer: str) -> dict[str, str]:
        """Collect the reasons why a peer gave no matte, by the case's name."""
        return {x.case: x.refused[peer] for x in self.outcomes if peer in x.refused}

    @property
    def kinds(self) -> list[str]:
        return sorted({outcome.kind for outcome in self.outcomes if outcome.kind})

    def worst(self, peer: str) -> list[Exhibit]:
        """List the cases with a peer's largest errors, the largest first."""
        return self._worst[peer]

    def _scores(self, peer: str, kind: str | None = None) -> list[Scores]:
        return [x.scores[peer] for x in self.outcomes if kind is None or x.kind == kind]


def draw_table(tally: Tally, metrics: Sequence[str] = ()) -> str:
    """Draw the means as text: a row for each peer, a column for each metric with values.

    Args:
        tally: At least one outcome.
        metrics: Names of the metrics to show; all by default.
    """
    means = {peer: tally.means(peer) for peer in tally.peers}
    shown = [
        name for name in metrics or METRICS if any(not math.isnan(scores[name]) for scores in means.values())
    ]
    rows = [["", *(METRICS[name].title for name in shown)]]
    rows += [[peer, *(_show(name, means[peer][name]) for name in shown)] for peer in tally.peers]
    if "mad" in shown:
        rows[0].append("median MAD")
        for row, peer in zip(rows[1:], tally.peers, strict=True):
            row.append(_show("mad", tally.medians(peer)["mad"]))
    lines = align(rows)
    if tally.kinds:
        of_kinds = [["MAD of", *tally.kinds]] + [
            [peer, *(_show("mad", tally.means(peer, kind)["mad"]) for kind in tally.kinds)]
            for peer in tally.peers
        ]
        lines += ["", *align(of_kinds)]
    lines += ["", f"means over {_count(len(tally.outcomes), 'case')}; {UNITS}"]
    for peer in tally.peers:
        if refused := tally.refused(peer):
            lines.append(
                f"{peer} gave no matte in {_count(len(refused), 'case')}, counted as an empty one: "
                + ", ".join(list(refused)[:5])
                + (" ..." if len(refused) > 5 else "")
            )
    return "\n".join(lines)


def peers_to_json(tally: Tally) -> dict[str, Any]:
    """Convert means and medians of each peer, in the metrics' units, to JSON types; undefined is None."""
    return {
        peer: {
            "mean": _defined(tally.means(peer)),
            "median": _defined(tally.medians(peer)),
            "kinds": {kind: _defined(tally.means(peer, kind)) for kind in tally.kinds},
            "refused": tally.refused(peer),
        }
        for peer in tally.peers
    }


def to_json(tally: Tally, setup: Mapping[str, Any]) -> dict[str, Any]:
    """Convert all results to JSON types.

    Args:
        tally: The outcomes.
        setup: Settings of the evaluation.
    """
    return {
        "format": FORMAT,
        "setup": dict(setup),
        "peers": peers_to_json(tally),
        "cases": [
            {
                "name": outcome.case,
                "kind": outcome.kind,
                "frames": outcome.frames,
                "scores": {peer: _defined(scores) for peer, scores in outcome.scores.items()},
            }
            for outcome in tally.outcomes
        ],
    }


class ReportFolder:
    """The folder of a report; only files of an earlier report are replaced, and only on request.

    Args:
        folder: Path of the folder; created if it is missing, but not its parent.
        overwrite: Replace the files of an earlier report.

    Raises:
        OutputError: The folder cannot be made, or has a report already.
    """

    def __init__(self, folder: str | Path, *, overwrite: bool = False) -> None:
        self.folder = Path(folder)
        self._overwrite = overwrite
        make_folder(self.folder)
        if (self.folder / REPORT).exists() and not overwrite:
            raise OutputError(
                f"{self.folder} has a report already: {REPORT} exists.",
                "choose another folder or add --overwrite",
            )

    def write_json(self, content: Mapping[str, Any]) -> Path:
        """Write ``report.json``."""
        path = self.folder / REPORT
        write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
        return path

    def write_sheets(self, tally: Tally) -> list[Path]:
        """Write a sheet of each peer's worst cases, and with several peers one of all side by side."""
        sheets = {
            f"worst_{_slug(peer)}.png": draw_worst(tally.worst(peer), peer)
            for peer in tally.peers
            if tally.worst(peer)
        }
        first = tally.peers[0]
        if len(tally.peers) > 1 and tally.worst(first):
            sheets["side_by_side.png"] = draw_side_by_side(tally.worst(first), tally.peers)
        for name, sheet in sheets.items():
            write_image(self.folder / name, sheet, overwrite=self._overwrite)
        return [self.folder / name for name in sheets]

    def write_chart(self, name: str, svg: str) -> Path:
        """Write one chart."""
        path = self.folder / f"{_slug(name)}.svg"
        write_text(path, svg)
        return path


def _show(name: str, value: float) -> str:
    return "-" if math.isnan(value) else f"{METRICS[name].factor * value:.2f}"


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Format the lines of a table: the first column aligned left, the others right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _defined(scores: Scores) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in scores.items()}


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("_.") or "peer"
