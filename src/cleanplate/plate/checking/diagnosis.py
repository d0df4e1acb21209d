"""Diagnosis of a plate: findings with figures, severity and advice, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

SEVERITIES = ("good", "care", "bad")
VERDICTS = {"good": "usable", "care": "usable with care", "bad": "not usable"}


@dataclass(frozen=True)
class Finding:
    """Finding on one property of the plate.

    Attributes:
        topic: ``place``, ``motion``, ``camera``, ``exposure``, ``colour``, ``sharpness``, ``compression``,
            ``subject``, ``coverage``, ``size`` or ``mirrored``.
        severity: ``good``; ``care``: it costs quality, or may; ``bad``: the plate cannot serve.
        message: One sentence.
        advice: Advice for the user; empty where none is needed.
        figures: Measured values by name, with the unit in the name.
    """

    topic: str
    severity: str
    message: str
    advice: str = ""
    figures: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Diagnosis:
    """Result of checking a plate against some frames.

    Attributes:
        findings: All findings, in the order of the checks.
        frames: Number of frames that the plate was checked against.
        notes: Further notes on the plate for the user, in sentences.
    """

    findings: tuple[Finding, ...]
    frames: int
    notes: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        """Severity of the gravest finding."""
        return max((finding.severity for finding in self.findings), key=SEVERITIES.index, default="good")

    @property
    def verdict(self) -> str:
        """``usable``, ``usable with care`` or ``not usable``."""
        return VERDICTS[self.severity]

    @property
    def is_usable(self) -> bool:
        """True if the plate can serve, perhaps with care."""
        return self.severity != "bad"

    def find(self, topic: str) -> Finding | None:
        """The finding on a topic; None if it was not checked."""
        return next((finding for finding in self.findings if finding.topic == topic), None)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain dictionaries, lists, texts and numbers."""
        return {
            "verdict": self.verdict,
            "usable": self.is_usable,
            "frames": self.frames,
            "notes": list(self.notes),
            "findings": [
                {
                    "topic": finding.topic,
                    "severity": finding.severity,
                    "message": finding.message,
                    "advice": finding.advice,
                    "figures": {name: round(value, 4) for name, value in finding.figures.items()},
                }
                for finding in self.findings
            ],
        }

    def describe(self) -> str:
        """Describe as text: the verdict, then a line for each finding, with the advice below it."""
        lines = [f"{self.verdict[0].upper()}{self.verdict[1:]}."]
        for finding in self.findings:
            mark = {"good": " ", "care": "!", "bad": "x"}[finding.severity]
            lines.append(f"{mark} {finding.topic + ':':<12} {finding.message}")
            if finding.advice:
                lines.append(f"  {'':<12} -> {finding.advice}")
        return "\n".join(lines)
