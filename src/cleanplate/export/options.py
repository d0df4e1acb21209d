"""What an export is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cleanplate.frame import Float32Array, Pixels
from cleanplate.router import Refine

KeyPair = Callable[[Pixels, Pixels], tuple[Float32Array, Float32Array]]
"""From source and plate, uint8 RGB ``(H, W, 3)`` of one size, to alpha ``(H, W)`` and foreground
``(H, W, 3)``, both float32 in [0, 1]. The plate is taken as it is: not aligned, not matched."""


@dataclass(frozen=True)
class Seen:
    """What the networks were fed with while one picture was keyed.

    Attributes:
        coarse, refiner: The inputs of each call by name, float32; none where there was no call.
    """

    coarse: list[dict[str, Float32Array]]
    refiner: list[dict[str, Float32Array]]


@dataclass(frozen=True)
class ExportOptions:
    """What the user wants of an export.

    Attributes:
        size: Height and width of the pictures; None: any.
        half: Half precision, in whatever way the format has it.
        single_file: One graph from source and plate to alpha and foreground, with the router inside.
        scale: Coarse input over picture, of a single file; None: the model's own.
        refine: Which cells a single file refines; None: the model's own.
        calibrate: Gives, anew at each call, what the networks see of typical pictures: convolutions become
            int8, over the ranges of values that these bring about. None: they do not.
    """

    size: tuple[int, int] | None = None
    half: bool = False
    single_file: bool = False
    scale: float | None = None
    refine: Refine | None = None
    calibrate: Callable[[], Iterable[Seen]] | None = None


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        paths: Files, or folders where the format is one.
        key: Runs what was written, read back from disk.
        precision: Of the arithmetic or of the stored weights, whichever is lower.
        refine: What ``key`` refines, the reference does too; None: every cell.
        scale: Coarse input over picture that ``key`` has; None: the model's own.
        multiple: Both sides of a picture are padded to multiples of this before ``key`` looks at it.
        unchecked: Why it cannot be run on this machine; None: it can.
    """

    paths: list[Path]
    key: KeyPair
    precision: Literal["float32", "float16", "int8"] = "float32"
    refine: Refine | None = None
    scale: float | None = None
    multiple: int = 1
    unchecked: str | None = None
