"""Traces the two networks as PyTorch programs, for converters that start from these."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from cleanplate.export.inference_form import arrange_for_inference
from cleanplate.export.onnx_export import (
    COARSE_INPUTS,
    COARSE_OUTPUTS,
    REFINER_INPUTS,
    REFINER_OUTPUTS,
    CoarsePart,
    coarse_inputs,
    refiner_inputs,
)
from cleanplate.export.onnx_graph import quiet_exporter
from cleanplate.models.config import ModelConfig
from cleanplate.models.load import load_network
from cleanplate.models.network_builder import TwoPartNetwork
from cleanplate.models.registry import Model
from cleanplate.router.cells import measure_windows
from cleanplate.router.layout import lay_out

COARSE_SIDES = (32, 1024)
"""Largest sides of a coarse input of free size; converters may plan memory for them."""

TILE, LARGEST_TILE = 64, 256
"""Side of the example's tile, and of the refiner's largest tile."""


@dataclass(frozen=True)
class Part:
    """One of the two networks, for one picture or one tile at a time.

    Attributes:
        name: ``coarse`` or ``refiner``.
        program: The traced program.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
    """

    name: str
    program: torch.export.ExportedProgram
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def trace_parts(model: Model, size: tuple[int, int] | None) -> list[Part]:
    """Trace coarse network and refiner, arranged for inference.

    Args:
        model: A model with weights that uses a plate.
        size: Size of the pictures, which decides that of the coarse input; None leaves it free. Tiles are
            always free: squares of an even side up to ``LARGEST_TILE``.

    Raises:
        ModelError: The weights are missing or damaged.
    """
    config = model.config
    network = arrange_for_inference(load_network(model)).requires_grad_(False)
    height, width = (256, 448) if size is None else lay_out(config, *size).coarse_size
    pair = coarse_inputs(config, 1, height, width, seed=0)
    free = None if size else (_free_sides(config.size_multiple),) * 2
    parts = [Part("coarse", _trace(CoarsePart(network), pair, free), COARSE_INPUTS, COARSE_OUTPUTS)]
    refiner = cast(TwoPartNetwork, network).refiner
    if refiner is not None:
        windows = refiner_inputs(config, 1, TILE, TILE, seed=0)
        parts.append(
            Part("refiner", _trace(refiner, windows, _free_windows(config)), REFINER_INPUTS, REFINER_OUTPUTS)
        )
    return parts


def _free_sides(multiple: int) -> dict[int, Any]:
    least, most = (side // multiple for side in COARSE_SIDES)
    rows, columns = (torch.export.Dim(name, min=least, max=most) for name in ("rows", "columns"))
    return {2: multiple * rows, 3: multiple * columns} if multiple > 1 else {2: rows, 3: columns}


def _free_windows(config: ModelConfig) -> tuple[dict[int, Any], dict[int, Any]]:
    """Describe the sides of both windows; one is a function of the other."""
    small, large = (measure_windows(side, config.refiner_kernel or 3) for side in (8, LARGEST_TILE))
    half = torch.export.Dim("half", min=small.half, max=large.half)
    full: Any = 2 * half - (2 * small.half - small.full)
    return {2: half, 3: half}, {2: full, 3: full}


def _trace(module: nn.Module, inputs: tuple[Tensor, Tensor], free: Any) -> torch.export.ExportedProgram:
    with quiet_exporter():
        return torch.export.export(module.eval(), inputs, dynamic_shapes=free, strict=False)


@contextlib.contextmanager
def quiet_converter() -> Iterator[None]:
    """Silence a converter and its libraries: logs, warnings, progress bars."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            for category in (DeprecationWarning, FutureWarning, UserWarning, RuntimeWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        logging.disable(logging.NOTSET)
