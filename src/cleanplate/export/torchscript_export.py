"""TorchScript export: one archive that can be used like those of BGMv2's authors.

``forward(src, bgr)`` takes both pictures and returns the results of theirs; ``backbone_scale``,
``refine_mode``, ``refine_sample_pixels`` and ``refine_threshold`` can be set after loading. Its submodules
``coarse`` and ``refiner`` are the two networks alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.errors import OutputError
from cleanplate.export.export_options import Exported, ExportOptions, KeyPair
from cleanplate.export.single_file import SingleFile, plan_single
from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.config import ModelConfig
from cleanplate.models.load import load_network
from cleanplate.models.records import METADATA_KEY
from cleanplate.models.registry import Model
from cleanplate.runtimes.torchscript_runtime import compile_parts, quiet_torchscript
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import temporary_file


class Archive(SingleFile):
    """The compiled module: a single file that also returns intermediate results."""

    def forward(  # type: ignore[override]
        self, src: Tensor, bgr: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Key a batch.

        Args:
            src: ``(B, 3, H, W)`` in [0, 1]; any size.
            bgr: The plate, of the same shape.

        Returns:
            Alpha ``(B, 1, H, W)`` and foreground ``(B, 3, H, W)``; of the coarse network, at its output's
            size, alpha, foreground and error; and 1 for each refined cell ``(B, 1, rows, columns)``. All in
            [0, 1].
        """
        source, plate, small, small_plate = self.prepare(src, bgr)
        alpha, residual, error, hidden = self.coarse(small, small_plate)
        coarse = (F.avg_pool2d(small, self.stride) + residual).clamp(0.0, 1.0)
        cells = torch.zeros_like(source[:, :1, :: self.cell, :: self.cell])
        refiner = self.refiner
        if refiner is None or self.refine_mode == "off":
            pha, fgr = self.enlarge(src, alpha, residual)
        elif self.refine_mode == "full":
            half, full = self.surround(source, plate, alpha, residual, hidden)
            pha, fgr = self.finish(src, refiner(half, full))
            cells = torch.ones_like(cells)
        else:
            blocks = self.select(error, source.shape[2], source.shape[3])
            tiles, half, full = self.cut(source, plate, alpha, residual, hidden, blocks)
            pha, fgr = self.paste(src, alpha, residual, blocks, tiles, refiner(half, full))
            rows, columns = cells.shape[2], cells.shape[3]
            cells = (
                blocks.permute(0, 1, 3, 2, 4).flatten(3).flatten(1, 2)[:, None, :rows, :columns].to(src.dtype)
            )
        return pha, fgr, alpha, coarse, error, cells


def export_torchscript(model: Model, path: Path, options: ExportOptions) -> Exported:
    """Write one archive.

    Args:
        model: A model with weights for PyTorch.
        path: Path of the archive.
        options: ``half`` makes everything float16, inputs and outputs included. A size decides the initial
            scale and number of sampled pixels; pictures of other sizes work, too.

    Raises:
        OptionError: The archive does not support this scale.
        ModelError: The model has no weights.
        OutputError: The file cannot be written.
    """
    config = model.config
    scale, refine, multiple = plan_single(config, options)
    network = load_network(model).requires_grad_(False)
    coarse, refiner = compile_parts(network, model)
    module = Archive(coarse, refiner, config, scale, refine).eval()
    if options.half:
        module = module.half()
    save_script(module, path, config)
    return Exported(
        [path],
        _key(path, torch.float16 if options.half else torch.float32),
        "float16" if options.half else "float32",
        refine,
        scale,
        multiple=multiple,
    )


def save_script(module: nn.Module, path: Path, config: ModelConfig) -> None:
    """Compile a module and write it with the model's record.

    Raises:
        OutputError: The file cannot be written.
    """
    with quiet_torchscript():
        script: Any = torch.jit.script(module)
    try:
        with temporary_file(path) as partial, quiet_torchscript():
            torch.jit.save(script, partial, _extra_files={METADATA_KEY: config.to_json()})
            partial.replace(path)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"The model cannot be written to '{path}': {reason_of(error)}.") from error


def _key(path: Path, dtype: torch.dtype) -> KeyPair:
    """Run the archive like any user of it."""

    def key(source: Pixels, plate: Pixels) -> tuple[Float32Array, Float32Array]:
        with quiet_torchscript():
            archive: Any = torch.jit.load(path)  # type: ignore[no-untyped-call]
        src, bgr = (
            (torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None] / 255).to(dtype)
            for pixels in (source, plate)
        )
        with torch.inference_mode():
            pha, fgr = archive(src, bgr)[:2]
        return pha[0, 0].float().numpy(), fgr[0].permute(1, 2, 0).float().numpy()

    return key
