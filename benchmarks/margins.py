"""Margins of numbers: each one at the top of a module is halved and doubled, and the cases are repeated.

``threshold_margins.py`` and ``matte_margins.py`` have the cases.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cleanplate import CleanplateError

VISIBLE = 0.2
"""Least change of a case that counts: levels of 255, percent, or steps of severity."""

REFUSED = 255.0
"""Result of a case that ends in an error."""

FAILED = 50.0
"""Result from which a case is shown as failed."""

Case = Callable[[], dict[str, float]]


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def list_numbers(module: str) -> list[str]:
    """List the names of the numbers that are assigned at the top of a module."""
    loaded = importlib.import_module(f"cleanplate.{module}")
    tree = ast.parse(Path(str(loaded.__file__)).read_text("utf-8"))
    names: list[str] = []
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            names += [part.id for part in parts if isinstance(part, ast.Name) and part.id.isupper()]
    return [name for name in names if change(getattr(loaded, name), 2.0) is not None]


def change(value: Any, factor: float) -> Any:
    """Multiply a number or each of a tuple; the distance to 1 between 0.5 and 1. None: not a number."""
    if isinstance(value, tuple) and value:
        parts = [change(part, factor) for part in value]
        return None if any(part is None for part in parts) else tuple(parts)
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction, np.ndarray)):
        return None
    if isinstance(value, int):
        return max(1, round(value * factor))
    if isinstance(value, float) and 0.5 < value < 1:
        return 1 - (1 - value) / factor
    return value * Fraction(factor) if isinstance(value, Fraction) else value * factor


@contextlib.contextmanager
def changed(module: str, name: str, value: Any) -> Iterator[None]:
    """Set a number in its module and in all that have imported it."""
    home = sys.modules[f"cleanplate.{module}"]
    before = getattr(home, name)
    holders = [home]
    for other in list(sys.modules.values()):
        if getattr(other, "__name__", "").startswith("cleanplate.plate") and other is not home:
            source = Path(str(other.__file__)).read_text("utf-8")
            tree = ast.parse(source)
            if any(
                isinstance(node, ast.ImportFrom)
                and node.module == f"cleanplate.{module}"
                and any(alias.name == name for alias in node.names)
                for node in tree.body
            ):
                holders.append(other)
    for holder in holders:
        setattr(holder, name, value)
    try:
        yield
    finally:
        for holder in holders:
            setattr(holder, name, before)


def score(cases: list[Case]) -> dict[str, float]:
    found: dict[str, float] = {}
    for case in cases:
        found.update(run_case(case))
    return found


def run_case(case: Case) -> dict[str, float]:
    try:
        return case()
    except (CleanplateError, ValueError, IndexError, ArithmeticError, cv2.error) as error:
        return {f"{getattr(case, 'args', ['?'])[0]}: {type(error).__name__}": REFUSED}


def compare(before: dict[str, float], after: dict[str, float]) -> str:
    """Name the case that changes most, with its numbers; empty: none visibly."""
    steps = {}
    for name in before.keys() | after.keys():
        first, last = before.get(name, REFUSED), after.get(name, REFUSED)
        if abs(last - first) > max(VISIBLE, first / 4):
            steps[name] = abs(last - first)
    if not steps:
        return ""
    name = max(sorted(steps), key=steps.__getitem__)
    first, last = (spell(found.get(name)) for found in (before, after))
    return f"{len(steps)} cases, {name}: {first} to {last}"


def spell(value: float | None) -> str:
    return "none" if value is None else "fails" if value > FAILED else f"{value:.1f}"


def measure(group: str, modules: Sequence[str], cases: list[Case]) -> None:
    before = score(cases)
    for name, value in before.items():
        show(f"{group}: {name}: {value:.2f}")
    for module in modules:
        quiet = []
        for name in list_numbers(module):
            value = getattr(sys.modules[f"cleanplate.{module}"], name)
            lines = []
            for word, factor in (("half", 0.5), ("double", 2.0)):
                with changed(module, name, change(value, factor)):
                    text = compare(before, score(cases))
                lines += [f"{word}: {text}"] if text else []
            if lines:
                show(f"{module}.{name} = {value}: " + "; ".join(lines))
            else:
                quiet.append(name)
        show(f"{module}, no case changes: {', '.join(quiet) or 'none'}")


def read_groups(description: str | None, known: Collection[str]) -> list[str]:
    """Read the groups to measure from the command line: all, or those named."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--groups", nargs="+", choices=known, default=list(known))
    groups: list[str] = parser.parse_args().groups
    return groups
