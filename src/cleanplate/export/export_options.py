"""Options of an export, and its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cleanplate.frame import Float32Array, Pixels
from cleanplate.router import Refine

KeyPair = Callable[[Pixels, Pixels], tuple[Float32Array, Float32Array]]
"""Function from source and plate, uint8 RGB ``(H, W, 3)`` of one size, to alpha ``(H, W)`` and foreground
``(H, W, 3)``, both float32 in [0, 1]. The plate is used as it is: not aligned, not exposure-matched."""


@dataclass(frozen=True)
class Seen:
    """Inputs of the networks while one picture is keyed.

    Attributes:
        coarse, refiner: The inputs of each call by name, float32; empty if there was no call.
    """

    coarse: list[dict[str, Float32Array]]
    refiner: list[dict[str, Float32Array]]


@dataclass(frozen=True)
class ExportOptions:
    """The user's options of an export.

    Attributes:
        size: Height and width of the pictures; None: any.
        half: Half precision, as far as the format supports it.
        single_file: One graph from source and plate to alpha and foreground, with the router inside.
        scale: Coarse input over picture, in a single file; None: the model's own.
        refine: Rule of refinement in a single file; None: the model's own.
        calibrate: Function that yields the networks' inputs for typical pictures, from the start at each
            call. Convolutions become int8, with ranges of values from these. None: no quantisation.
    """

    size: tuple[int, int] | None = None
    half: bool = False
    single_file: bool = False
    scale: float | None = None
    refine: Refine | None = None
    calibrate: Callable[[], Iterable[Seen]] | None = None


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        paths: Files, or folders where the format is one.
        key: Function that runs the written files.
        precision: Precision of the arithmetic or of the stored weights, whichever is lower.
        refine: Rule of refinement of ``key`` and of its reference; None: every cell.
        scale: Coarse input over picture in ``key``; None: the model's own.
        multiple: ``key`` pads both sides of a picture to multiples of this.
        unchecked: Reason why ``key`` cannot be run on this machine; None: it can.
    """

    paths: list[Path]
    key: KeyPair
    precision: Literal["float32", "float16", "int8"] = "float32"
    refine: Refine | None = None
    scale: float | None = None
    multiple: int = 1
    unchecked: str | None = None
