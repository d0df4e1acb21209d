"""Parses the user's name of a data set: ``videomatte240k=/d/vm:2``."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cleanplate.errors import OptionError

LAYOUTS = {
    "material": "figures/, objects/, sequences/, garments/, backgrounds/ of the project's own material",
    "videomatte240k": "train/ and test/, each with clips in fgr/ and pha/ (MP4 files or folders of frames)",
    "photomatte85": "pictures with an alpha channel, or fgr/ and pha/",
    "distinctions646": "Train/ and Test/, each with FG/ and GT/ (or fgr/ and pha/)",
    "aim": "Training_set/ and Test_set/ with fg/ and alpha/ (or fgr/ and pha/), also deeper",
    "fgr-alpha": "fgr/ (fg/, foreground/) and pha/ (alpha/, gt/, matte/), also below train/ and test/",
    "rgba": "pictures with an alpha channel, also below train/ and test/",
}
"""All layouts by name, with the required content of their folders."""

WEIGHT_RANGE = (1e-3, 1e3)

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]", re.IGNORECASE)
_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class DataSpec:
    """A data set named by the user.

    Attributes:
        path: Its folder.
        name: One of :data:`LAYOUTS`; None to recognise it by the content of the folder.
        weight: Share among the subjects of all data sets, relative to the other weights.
    """

    path: Path
    name: str | None = None
    weight: float = 1.0


def parse_data_spec(text: str) -> DataSpec:
    r"""Read ``[NAME=]FOLDER[:WEIGHT]``.

    >>> parse_data_spec("aim=/d/aim:0.5")
    DataSpec(path=PosixPath('/d/aim'), name='aim', weight=0.5)

    A drive letter is no name and no weight: ``C:\vm`` and ``videomatte240k=C:\vm:2`` work. A folder with a
    name that ends in a colon and a number needs a weight: ``/d/take:2:1``.

    Raises:
        OptionError: The folder is missing in the text, the name is unknown, or the weight is outside of 0.001
            to 1000.
    """
    before, equals, after = text.partition("=")
    name: str | None = None
    rest = text
    if equals and before.lower() in LAYOUTS:
        name, rest = before.lower(), after
    elif equals and _NAME.fullmatch(before) and not Path(text).exists():
        raise OptionError(f"There is no data set '{before}' ({text}).", f"known are {', '.join(LAYOUTS)}")
    folder, colon, tail = rest.rpartition(":")
    weight = 1.0
    if colon and _NUMBER.fullmatch(tail) and not _DRIVE.fullmatch(folder):
        weight, rest = float(tail), folder
        low, high = WEIGHT_RANGE
        if not (math.isfinite(weight) and low <= weight <= high):
            raise OptionError(f"Expected a weight from {low:g} to {high:g} in '{text}', got {tail}.")
    if not rest.strip():
        raise OptionError(f"'{text}' names no folder.", "write NAME=FOLDER, FOLDER or NAME=FOLDER:WEIGHT")
    return DataSpec(Path(os.path.expanduser(rest)), name, weight)  # noqa: PTH111 - pathlib raises for ~nobody
