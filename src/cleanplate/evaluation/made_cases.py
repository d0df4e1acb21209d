"""Cases made from training material, reproducible by a seed.

They come from :mod:`cleanplate.training.synthesis.synthesis` and need the extra ``train``. Each case has a
seed of its own, so the first cases do not depend on their number, and every strength of a fault has the same
scenes (unless a fault changes the random numbers after it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from cleanplate.errors import MissingExtraError
from cleanplate.evaluation.cases import CaseFrame
from cleanplate.evaluation.protocols import MadeCase
from cleanplate.frame import Pixels

if TYPE_CHECKING:
    from torch import Tensor

    from cleanplate.training.synthesis.material import Material
    from cleanplate.training.synthesis.synthesis import Case, Faults

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
    material: Material,
    faults: Faults,
    count: int,
    size: tuple[int, int],
    seed: int,
    fine: float = 0.0,
    frames: int | None = None,
) -> Iterator[MadeCase]:
    """Describe cases of ``size`` (height, width), made when read; see ``Synthesis`` for ``fine``.

    With ``frames`` they are clips of that length, otherwise stills.
    """
    stage: Any
    if frames is None:
        stage = load_synthesis().Synthesis(material, faults=faults, fine=fine)
    else:
        from cleanplate.training.synthesis.clip_synthesis import ClipSynthesis

        stage = ClipSynthesis(material, faults=faults, fine=fine)
    for number in range(count):
        seed_of_case = seed * _SEEDS_APART + number
        kind = stage.kind_of(seed_of_case)
        if frames is None:
            draw = partial(_draw_still, stage, size, seed_of_case, kind)
        else:
            draw = partial(stage.clip_of, seed_of_case, frames, *size)
        yield MadeCase(f"{number:04d}", kind, frames is not None, partial(_make, draw))


def _draw_still(stage: Any, size: tuple[int, int], seed: int, kind: str) -> Iterator[Case]:
    return iter([stage.case_of(seed, *size, kind=kind)])


def _make(draw: Callable[[], Iterator[Case]]) -> tuple[Pixels, Iterator[CaseFrame]]:
    cases = draw()
    first = next(cases)
    return _to_pixels(first.plate), map(_to_frame, chain([first], cases))


def _to_frame(case: Case) -> CaseFrame:
    alpha = np.asarray(case.alpha[0, 0].numpy(), np.float32)
    return CaseFrame(_to_pixels(case.source), alpha, _to_pixels(case.foreground))


def _to_pixels(pictures: Tensor) -> Pixels:
    picture = pictures[0, :3].numpy()
    return np.ascontiguousarray((picture.transpose(1, 2, 0) * 255).round().astype(np.uint8))
