"""Layout of each frame by the scale and the refinement of a keyer."""

from __future__ import annotations

from cleanplate.frame import Frame
from cleanplate.models.config import FINER, ModelConfig
from cleanplate.router import Refine
from cleanplate.router.layout import Layout, lay_out
from cleanplate.vocabulary.options import parse_scale


class LayoutRule:
    """Scale and refinement, as the user has chosen them.

    Args:
        scale: As :attr:`cleanplate.vocabulary.KeyerOptions.scale`.
        refine: As :attr:`cleanplate.vocabulary.KeyerOptions.refine`.

    Raises:
        OptionError: A value is out of range.
    """

    def __init__(self, scale: float | str, refine: str | Refine) -> None:
        self._scale = parse_scale(scale)
        self._finer = FINER if scale == "fine" else 1.0
        self._refine = refine if isinstance(refine, Refine) or refine == "auto" else Refine.parse(refine)

    def lay_out(self, config: ModelConfig, frame: Frame) -> Layout:
        """The layout of a frame for a model; see :func:`cleanplate.router.layout.lay_out`."""
        size = frame.height, frame.width
        return lay_out(config, *size, self._scale, self._refine, self._finer, frame.stretch)

    def refines(self, config: ModelConfig) -> bool:
        """True if the model has a refiner, and it may run."""
        refine = Refine.parse(config.refine) if isinstance(self._refine, str) else self._refine
        return config.refiner_kernel is not None and refine.mode != "off"

    def describe(self, layout: Layout | None) -> str:
        """Describe scale and refinement: those of the last frame's layout, or the chosen ones before it."""
        if layout is None:
            return f"scale {self._scale or 'auto'}, refine {self._refine}"
        height, width = layout.coarse_size
        return f"scale {layout.scale:.3g} ({width}x{height}), refine {layout.refine}"
