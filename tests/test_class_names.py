"""Names of classes, modules and types of arrays: each stands for one thing in the whole package."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
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


def test_no_module_name_is_used_twice() -> None:
    stems = Counter(path.stem for path in SOURCE.rglob("*.py") if not path.stem.startswith("__"))
    assert len(stems) > 100
    assert [stem for stem, times in stems.items() if times > 1] == []


ROOMS_OF_ALIASES = ("frame.py", "plate/", "models/networks/")
"""Places that may name a type of array: the package's are in ``frame``; a plate names its points."""


def test_types_of_arrays_are_named_in_one_place() -> None:
    alias = re.compile(r"^\w+(: TypeAlias)? = (npt\.NDArray|np\.ndarray)", re.MULTILINE)
    found = [
        path.relative_to(SOURCE).as_posix()
        for path in sorted(SOURCE.rglob("*.py"))
        if alias.search(path.read_text(encoding="utf-8"))
    ]
    assert "frame.py" in found
    assert [path for path in found if not path.startswith(ROOMS_OF_ALIASES)] == []
