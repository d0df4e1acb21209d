"""Cases made from training material, reproducible by a seed.

They come from :mod:`cleanplate.training.synthesis.synthesis` and need the extra ``train``. Each case has a
seed of its own, so the first cases do not depend on their number, and every strength of a fault has the same
scenes (unless a fault changes the random numbers after it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from cleanplate.errors import MissingExtraError
from cleanplate.evaluation.cases import CaseFrame
from cleanplate.evaluation.protocols import MadeCase
from cleanplate.frame import Pixels

if TYPE_CHECKING:
    from cleanplate.training.synthesis.material import Material
    from cleanplate.training.synthesis.synthesis import Faults

SHAPES = 60
"""Number of procedural sprites in the material."""

_SEEDS_APART = 1_000_003


def load_synthesis() -> ModuleType:
    """Import :mod:`cleanplate.training.synthesis.synthesis`.

    Raises:
        MissingExtraError: PyTorch is not installed.
    """
    try:
        import cleanplate.training.synthesis.synthesis as synthesis
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "torch":
            raise
        raise MissingExtraError("train", "Making cases") from error
    return synthesis


def open_material(data: Path | str | Sequence[str], split: str, backgrounds: Sequence[Path] = ()) -> Material:
    """Open one split of the named data sets, with procedural shapes.

    Raises:
        InputError: A data set is missing or damaged, or the split has no subjects or no backgrounds.
        MissingExtraError: PyTorch is not installed.
    """
    load_synthesis()
    from cleanplate.training.datasets import parse_data_spec
    from cleanplate.training.synthesis.material import open_material as open_split

    texts = [str(data)] if isinstance(data, (str, Path)) else data
    return open_split([parse_data_spec(text) for text in texts], backgrounds, split, shapes=SHAPES)


def draw_cases(
    material: Material, faults: Faults, count: int, size: tuple[int, int], seed: int, fine: float = 0.0
) -> Iterator[MadeCase]:
    """Describe stills of ``size`` (height, width), made when read; see ``Synthesis`` for ``fine``."""
    synthesis = load_synthesis()
    stage = synthesis.Synthesis(material, faults=faults, fine=fine)
    for number in range(count):
        kind = stage.kind_of(seed * _SEEDS_APART + number)
        make = partial(_make, stage, size, seed * _SEEDS_APART + number, kind)
        yield MadeCase(f"{number:04d}", kind, False, make)


def _make(synthesis: Any, size: tuple[int, int], seed: int, kind: str) -> tuple[Pixels, Iterator[CaseFrame]]:
    batch = synthesis.case_of(seed, *size, kind=kind)
    source, plate, foreground = (
        _to_pixels(picture[0, :3].numpy()) for picture in (batch.source, batch.plate, batch.foreground)
    )
    alpha = np.asarray(batch.alpha[0, 0].numpy(), np.float32)
    return plate, iter([CaseFrame(source, alpha, foreground)])


def _to_pixels(picture: Any) -> Pixels:
    return np.ascontiguousarray((picture.transpose(1, 2, 0) * 255).round().astype(np.uint8))
