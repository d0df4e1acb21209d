"""Shards of a manifest: each machine of a farm takes the rows whose results have its number."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cleanplate.cli.manifest import ManifestRow
from cleanplate.errors import OptionError

_TEXT = re.compile(r"(\d*)/(\d+)")

_HINT = "write --shard 3/16, or --shard /16 with the number from the scheduler"


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a manifest; ``number`` counts from 0."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number or self.count}/{self.count}"

    def has(self, key: str) -> bool:
        """Tell whether a result belongs to it: by a hash, so that other rows do not move it."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number


def find_shard(text: str | None, environment: Mapping[str, str] = os.environ) -> Shard | None:
    """The shard of this process; None for all rows.

    Args:
        text: ``K/N`` with K from 1 to N, or from 0 to N - 1: shard 0 is shard N. ``/N`` takes K from the
            environment. None: a Slurm array tells both.
        environment: Variables of the process's environment.

    Raises:
        OptionError: The text is no shard, or the environment does not tell which.
    """
    if text is None:
        return _find_in_array(environment)
    number, count = _parse(text)
    if number is None:
        number = _task_number(environment)
        if number is None:
            raise OptionError(
                f"Shard {text} has no number: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set.",
                _HINT,
            )
    elif number > count:
        raise OptionError(f"Expected a shard from 1 to {count} or from 0 to {count - 1}, got {text}.", _HINT)
    return Shard(number % count, count)


def count_shards(text: str | None) -> int:
    """The number of shards in ``/N`` or ``K/N``.

    Raises:
        OptionError: The text is no shard, or there is none.
    """
    if text is None:
        raise OptionError("Commands for a farm need the number of shards.", "add --shard /16, for 16 tasks")
    return _parse(text)[1]


def select_rows(rows: Sequence[ManifestRow], manifest: Path, shard: Shard | None) -> list[ManifestRow]:
    """The rows of a shard, in their order.

    A row's key is the path of its first result, relative to the manifest: the same on every machine. A row
    with an error has no result, and its number is the key.
    """
    if shard is None:
        return list(rows)
    folder = manifest.resolve().parent
    return [row for row in rows if shard.has(_key_of(row, folder))]


def pick_row(rows: Sequence[ManifestRow], number: int | None) -> list[ManifestRow]:
    """The row of this number alone; all rows without one.

    Raises:
        OptionError: There is no such row.
    """
    if number is None:
        return list(rows)
    found = [row for row in rows if row.number == number]
    if not found:
        raise OptionError(
            f"There is no row {number} among the {len(rows)} rows of the manifest.",
            "a row's number is its line in the file, the heading being 1",
        )
    return found


def _key_of(row: ManifestRow, folder: Path) -> str:
    if not row.results:
        return f"row {row.number}"
    result = row.results[0]
    there = result.parent.resolve() / result.name
    return Path(os.path.relpath(there, folder)).as_posix()


def _parse(text: str) -> tuple[int | None, int]:
    match = _TEXT.fullmatch(text)
    if match is None or int(match[2]) < 1:
        raise OptionError(f"Expected a shard such as 3/16 or /16, got '{text}'.", _HINT)
    return int(match[1]) if match[1] else None, int(match[2])


def _task_number(environment: Mapping[str, str]) -> int | None:
    for name in ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"):
        if environment.get(name):
            return _read_number(environment, name)
    return None


def _find_in_array(environment: Mapping[str, str]) -> Shard | None:
    if environment.get("SLURM_ARRAY_TASK_ID") and environment.get("SLURM_ARRAY_TASK_COUNT"):
        task, count = (_read_number(environment, f"SLURM_ARRAY_TASK_{name}") for name in ("ID", "COUNT"))
        first = _read_number(environment, "SLURM_ARRAY_TASK_MIN", task if count == 1 else 0)
        last = _read_number(environment, "SLURM_ARRAY_TASK_MAX", first + count - 1)
        step = max(1, _read_number(environment, "SLURM_ARRAY_TASK_STEP", 1))
        if count < 1 or (last - first) // step + 1 != count or not first <= task <= last:
            raise OptionError(
                f"The Slurm array has {count} tasks from {first} to {last}, not evenly spaced: task {task} "
                f"could be any shard.",
                _HINT,
            )
        return None if count == 1 else Shard((task - first) // step, count)
    if environment.get("JOB_COMPLETION_INDEX"):
        raise OptionError(
            "JOB_COMPLETION_INDEX is set, but Kubernetes does not tell the number of completions.",
            "add --shard /16, for 16 completions; --shard 1/1 for all rows",
        )
    return None


def _read_number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "")
    if not text and default is not None:
        return default
    if not text.isdecimal():
        raise OptionError(f"Expected a number in {name}, got '{text}'.", _HINT)
    return int(text)
