"""Names of classes: each stands for one thing in the whole package."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import cleanplate

SOURCE = Path(cleanplate.__file__).parent

ALLOWED: dict[str, str] = {}
"""Names that are defined more than once, with the reason."""


def test_no_class_name_is_defined_twice() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(SOURCE).as_posix()}:{node.lineno}")
    assert len(places) > 100
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in twice.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) <= set(twice), "these names are defined once: take them off the list"
