"""Numbered file names: ``name_%05d.png`` and the files that such a pattern covers."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

_NUMBER = re.compile(r"%0?(\d*)d")
_NUMBERED = re.compile(r"(.*?)(\d+)(\.\w+)")
_HASHES = re.compile(r"#+")
_PICTURES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".dpx", ".webp", ".avif"),
    *(".jxl", ".cin"),
)


def is_pattern(path: Path) -> bool:
    """Tell whether a file's name is a pattern such as ``name_%05d.png``; results are numbered by it."""
    return len(_NUMBER.findall(path.name)) == 1


def is_sequence(path: Path) -> bool:
    """Tell whether a source is a numbered sequence: its name is a pattern, and no file has it."""
    return is_pattern(path) and not path.is_file()


def compile_pattern(pattern: Path) -> re.Pattern[str]:
    """A regular expression for the names that a pattern covers; group 1 is the number.

    A suffix in other letters (``.PNG``) matches as well.
    """
    before, _, after = _NUMBER.split(pattern.name)
    width = int(_NUMBER.findall(pattern.name)[0] or 1)
    # Like printf: at least so many digits, and no leading zeros beyond.
    digits = rf"\d{{{width}}}|[1-9]\d{{{width},}}"
    stem, dot, suffix = after.rpartition(".")
    return re.compile(f"{re.escape(before)}({digits}){re.escape(stem + dot)}(?i:{re.escape(suffix)})")


def numbered_files(pattern: Path) -> dict[int, Path]:
    """The files that match a pattern, by their numbers, in their order.

    A suffix in other case (``.PNG``) counts if there is no file of this number with the pattern's own suffix.
    """
    matches = compile_pattern(pattern)
    after = _NUMBER.split(pattern.name)[2]
    found: dict[int, Path] = {}
    with os.scandir(pattern.parent) if pattern.parent.is_dir() else nullcontext(()) as entries:
        for entry in entries:
            match = matches.fullmatch(entry.name)
            if match is None or entry.is_dir():
                continue
            number = int(match.group(1))
            if number not in found or entry.name.endswith(after):
                found[number] = pattern.parent / entry.name
    return dict(sorted(found.items()))


def suggest_pattern(path: Path) -> Path | None:
    """The pattern of a folder of numbered pictures, or of a name such as ``shot.####.png``; None: none."""
    if path.is_dir():
        counts: Counter[str] = Counter()
        for entry in os.scandir(path):
            match = _NUMBERED.fullmatch(entry.name)
            if match is not None and match[3].lower() in _PICTURES and entry.is_file():
                width = len(match[2]) if match[2].startswith("0") else 0
                counts[f"{match[1]}%{f'0{width}' if width else ''}d{match[3]}"] += 1
        if not counts:
            return None
        # Numbers of one sequence may have more digits than the padding: 0999, 1000.
        return path / max(counts, key=lambda name: (counts[name], "%0" in name))
    hashes = _HASHES.findall(path.name)
    if len(hashes) != 1:
        return None
    pattern = path.with_name(path.name.replace(hashes[0], f"%0{len(hashes[0])}d"))
    return pattern if numbered_files(pattern) else None
