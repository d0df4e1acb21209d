"""The table "Where things are" of docs/architecture.md: its files exist and define the names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import cleanplate

SOURCE = Path(cleanplate.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"


def read_rows() -> list[tuple[str, str]]:
    section = PAGE.read_text(encoding="utf-8").split("## Where things are\n")[1].split("\n## ")[0]
    return re.findall(r"^\| .+ \| `([\w/]+\.py)` \| `(\w+)` \|$", section, re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), read_rows())
def test_the_name_of_a_row_is_defined_in_its_file(file: str, name: str) -> None:
    defined = set()
    for node in ast.parse((SOURCE / file).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            defined.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
    assert name in defined


def test_every_row_is_read() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Where things are\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(read_rows()) == len(lines) - 2 >= 10
