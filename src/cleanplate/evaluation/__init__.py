"""Evaluation of models and classical peers on cases with known truth, run like a user's job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.evaluation.cases import CaseWriter, Example, RecordedCase, read_cases
    from cleanplate.evaluation.evaluate_cases import Outcome, Peer, evaluate, open_peer
    from cleanplate.evaluation.score import score_frame

__all__ = [
    "CaseWriter",
    "Example",
    "Outcome",
    "Peer",
    "RecordedCase",
    "evaluate",
    "open_peer",
    "read_cases",
    "score_frame",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "RecordedCase": "cases",
            "CaseWriter": "cases",
            "Example": "cases",
            "read_cases": "cases",
            "Outcome": "evaluate_cases",
            "Peer": "evaluate_cases",
            "evaluate": "evaluate_cases",
            "open_peer": "evaluate_cases",
            "score_frame": "score",
        },
    )
