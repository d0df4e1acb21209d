"""Export for Nuke's ``Inference`` node: a TorchScript module with one input and one output.

``Inference`` gives a module one tensor, takes one tensor back, and sets attributes of the module from knobs
of the same name, integers and floats (Foundry, ".cat File Creation Reference"). So shot and plate are one
tensor of six channels here, foreground and alpha one of four, and ``scale``, ``refine_threshold`` and
``linear`` are attributes. ``integrations/nuke`` makes the ``.cat`` file and has a gizmo.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.compositing.highlights import OPAQUE, REACH
from cleanplate.export.export_options import Exported, ExportOptions, KeyPair
from cleanplate.export.single_file import SingleFile, plan_single
from cleanplate.export.torchscript_export import save_script
from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.config import FINER, HD_LONG_SIDE, LEAST_GROWTH, REFERENCE_LONG_SIDE, ModelConfig
from cleanplate.models.load import load_network
from cleanplate.models.registry import Model
from cleanplate.router import Refine
from cleanplate.router.changed_region import (
    ALIGNMENT,
    GRAIN,
    LEAST_CHANGE,
    MARGIN,
    MOST_TOLERANCE,
    NOISE_FACTOR,
    QUIET_SHARE,
    SAMPLE_STEP,
    SPREAD,
    WORTHWHILE,
)
from cleanplate.runtimes.torchscript_runtime import compile_parts, quiet_torchscript


class NukeModule(SingleFile):
    """Module from ``(B, 6, H, W)`` to ``(B, 4, H, W)``, of any size.

    Args:
        coarse, refiner, config: As of :class:`SingleFile`.
        scale: Initial value of the attribute.
        refine: Rule of refinement; its threshold is the initial value of the attribute.

    Attributes:
        scale: Coarse input over picture; 0: that of ``fine``, the default of the commands.
        refine_threshold: Cells with a larger expected error are refined; 0: everything, 1: nothing.
        linear: 1: shot, plate and foreground are scene-linear; 0: they are code values in [0, 1].
    """

    def __init__(
        self, coarse: nn.Module, refiner: nn.Module | None, config: ModelConfig, scale: float, refine: Refine
    ) -> None:
        super().__init__(coarse, refiner, config, scale or 0.5, refine)
        self.refine_threshold = {"full": 0.0, "off": 1.0}.get(refine.mode, self.refine_threshold)
        self.scale = float(scale)
        self.linear = 1
        self.target = FINER * float(config.target_long_side or 0)
        # Compiled code cannot read constants of a Python module.
        self.reference, self.least_growth, self.hd = float(REFERENCE_LONG_SIDE), LEAST_GROWTH, HD_LONG_SIDE
        self.soft, self.solid, self.reach = OPAQUE[0], OPAQUE[1], REACH
        self.sample_step, self.quiet, self.spread = SAMPLE_STEP, QUIET_SHARE, SPREAD
        self.least, self.factor, self.most = LEAST_CHANGE, NOISE_FACTOR, MOST_TOLERANCE
        self.margin, self.alignment, self.grain, self.worthwhile = MARGIN, ALIGNMENT, GRAIN, WORTHWHILE
        self.hidden = config.hidden_channels

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Key a batch.

        Args:
            x: ``(B, 6, H, W)``: red, green and blue of the shot, then of the plate. NaN counts as 0.

        Returns:
            ``(B, 4, H, W)``: red, green and blue of the foreground, straight, then alpha in [0, 1].
        """
        x = torch.where(x == x, x, torch.zeros_like(x))
        self.backbone_scale = self.choose_scale(x.shape[2], x.shape[3])
        self.refine_mode = self.choose_mode()
        codes = self.encode(x) if self.linear != 0 else x.clamp(0.0, 1.0)
        alpha, foreground = self.key(codes[:, :3], codes[:, 3:6])
        if self.linear != 0:
            foreground = self.light(foreground, alpha, codes[:, :3], x[:, :3])
        return torch.cat([foreground, alpha], 1)

    def run_coarse(self, source: Tensor, plate: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the coarse network where the picture has changed, as :class:`cleanplate.Keyer` does.

        The steps are those of :meth:`TorchRouter.find_change` and :func:`cleanplate.router.enclose`.
        """
        height, width = source.shape[2], source.shape[3]
        top, bottom, left, right = 0, height, 0, width
        if self.plate_channels == 4 and self.refine_mode != "full":
            changed = self.find_change(source, plate)
            if not bool(changed.any()):
                nothing = source[:, :1, :: self.stride, :: self.stride] * 0.0
                return nothing, nothing.repeat(1, 3, 1, 1), nothing, nothing.repeat(1, self.hidden, 1, 1)
            top, bottom = self.span(changed.any(1))
            left, right = self.span(changed.any(0))
            if float((bottom - top) * (right - left)) > self.worthwhile * float(height * width):
                top, bottom, left, right = 0, height, 0, width
        alpha, residual, error, hidden = self.coarse(
            source[:, :, top:bottom, left:right], plate[:, :, top:bottom, left:right]
        )
        around = [left, width - right, top, height - bottom]
        around = [side // self.stride for side in around]
        return F.pad(alpha, around), F.pad(residual, around), F.pad(error, around), F.pad(hidden, around)

    def find_change(self, source: Tensor, plate: Tensor) -> Tensor:
        """Tell which pixels of the coarse input differ from the plate: bool ``(H, W)``, for a whole batch."""
        difference = (source - plate[:, :3]).abs().amax(1, keepdim=True).float()
        samples = difference[:, 0, :: self.sample_step, :: self.sample_step].flatten(1).sort(1)[0]
        noise = samples[:, int(self.quiet * float(samples.shape[1] - 1))]
        limits = (self.least + self.factor * noise).clamp(max=self.most)
        around = F.pad(difference, [self.spread // 2] * 4, mode="replicate")
        mean = F.avg_pool2d(around, self.spread, 1)[:, 0]
        return (mean > limits[:, None, None]).any(0)

    def span(self, changed: Tensor) -> tuple[int, int]:
        """Compute first and last (exclusive) index of the region around all changed ones."""
        length = changed.shape[0]
        hits = changed.nonzero()
        first = max(0, int(hits.min()) - self.margin) // self.alignment * self.alignment
        size = min(length, int(hits.max()) + 1 + self.margin) - first
        size = (size + self.grain - 1) // self.grain * self.grain
        if size >= length:
            return 0, length
        if first + size > length:
            return (length - size) // self.alignment * self.alignment, length
        return first, first + size

    def choose_scale(self, height: int, width: int) -> float:
        """Compute coarse input over picture: the attribute, or ``fine`` (:meth:`ModelConfig.default_scale`).

        A model that shrinks by averaging gets the nearest ratio of which one over it is a multiple of 1/2.
        """
        scale = min(self.scale, 1.0)
        longest = max(height, width)
        if scale <= 0.0 and self.target > 0.0:
            growth = max(math.sqrt(float(longest) / self.reference), self.least_growth)
            scale = min(1.0, self.target * growth / float(longest))
        elif scale <= 0.0:
            scale = 0.25 if longest <= self.hd else 0.125
        if self.averages:
            scale = 2.0 / float(max(2, int(2.0 / scale + 0.5)))
        return scale

    def choose_mode(self) -> str:
        """Choose the mode of refinement for the threshold."""
        if self.refiner is None or self.refine_threshold >= 1.0:
            return "off"
        return "thresholding" if self.refine_threshold > 0.0 else "full"

    def encode(self, light: Tensor) -> Tensor:
        """Convert light to sRGB code values (IEC 61966-2-1), clipped to [0, 1]."""
        x = light.clamp(0.0, 1.0)
        return torch.where(x < 0.0031308, x * 12.92, 1.055 * x.clamp(min=0.0031308).pow(1.0 / 2.4) - 0.055)

    def decode(self, codes: Tensor) -> Tensor:
        """Convert sRGB code values in [0, 1] to light."""
        return torch.where(codes < 12.92 * 0.0031308, codes / 12.92, ((codes + 0.055) / 1.055).pow(2.4))

    def light(self, foreground: Tensor, alpha: Tensor, codes: Tensor, own: Tensor) -> Tensor:
        """Convert a foreground to light, with the shot's highlights and negative values.

        The rule is that of :mod:`cleanplate.compositing.highlights`.
        """
        change = (foreground - codes).abs().amax(1, keepdim=True)
        kept = (1.0 - change / self.reach).clamp(0.0, 1.0)
        mixed = self.decode(foreground) + kept * (own - self.decode(codes))
        mixed = torch.max(mixed, own.clamp(max=0.0))
        solid = ((alpha - self.soft) / (self.solid - self.soft)).clamp(0.0, 1.0)
        return torch.where(solid >= 1.0, own, mixed + solid * (own - mixed))


def export_nuke(model: Model, path: Path, options: ExportOptions) -> Exported:
    """Write the module for ``CatFileCreator``.

    Args:
        model: A model with weights for PyTorch.
        path: Path of the module, ``.pt``.
        options: ``scale`` and ``refine`` are the knobs' defaults. A size decides the sizes of the parity
            check only. ``half`` makes the weights float16.

    Raises:
        OptionError: The module does not support this scale or rule.
        ModelError: The model has no weights.
        OutputError: The file cannot be written.
    """
    config = model.config
    scale, refine, multiple = plan_single(config, options)
    if refine.mode == "sampling":  # a knob for pixels would depend on the size of the picture
        refine = Refine("threshold", 0.1)
    coarse, refiner = compile_parts(load_network(model).requires_grad_(False), model)
    module = NukeModule(coarse, refiner, config, options.scale or 0.0, refine).eval()
    save_script(module.half() if options.half else module, path, config)
    return Exported(
        [path],
        _key(path, torch.float16 if options.half else torch.float32, scale),
        "float16" if options.half else "float32",
        refine,
        scale,
        multiple=multiple,
    )


def _key(path: Path, dtype: torch.dtype, scale: float) -> KeyPair:
    """Run the module like ``Inference``, on code values and with the scale of the parity check."""

    def key(source: Pixels, plate: Pixels) -> tuple[Float32Array, Float32Array]:
        with quiet_torchscript():
            script: Any = torch.jit.load(path)  # type: ignore[no-untyped-call]
        script.linear, script.scale = 0, scale
        both = np.concatenate([source, plate], axis=2)
        x = torch.from_numpy(both).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            keyed = script(x.to(dtype))[0].float()
        return keyed[3].numpy(), keyed[:3].permute(1, 2, 0).numpy()

    return key
