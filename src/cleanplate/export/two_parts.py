"""Exports of coarse network and refiner as separate files: their ONNX originals, and running the results."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from cleanplate.export.export_options import KeyPair
from cleanplate.export.parity import key_with
from cleanplate.export.parts import Network, Parts, key_parts, name_part
from cleanplate.frame import AnyArray, Float32Array
from cleanplate.models.config import ModelConfig
from cleanplate.models.registry import Model
from cleanplate.router import Coarse, Refine
from cleanplate.router.cells import measure_windows
from cleanplate.router.layout import lay_out
from cleanplate.router.numpy_router import NumpyRouter

Shape = tuple[int, int, int, int]
"""Batch, channels, height, width."""


def find_onnx(model: Model, scratch: Path) -> tuple[Path, Path | None]:
    """Find the model's ONNX files, or make them from its weights in the folder ``scratch``.

    Raises:
        ModelError: The model has no weights either, or the results of ONNX Runtime differ from PyTorch.
        MissingExtraError: The files have to be made, and ``onnxscript`` is not installed.
    """
    if model.coarse_onnx is not None:
        return model.coarse_onnx, model.refiner_onnx
    from cleanplate.export.onnx_export import export_onnx
    from cleanplate.models.load import load_network

    return export_onnx(load_network(model), model.config, scratch / model.config.name)


def convert_parts(
    model: Model, path: Path, convert: Callable[[Path, Path], None]
) -> tuple[Path, Path | None]:
    """Convert the model's ONNX files, and return both new paths; None for a missing refiner.

    Args:
        model: See :func:`find_onnx`.
        path: ``lite.xml`` means ``lite.coarse.xml`` and ``lite.refiner.xml``.
        convert: Function that converts an ONNX file to a file at the second path.
    """
    with tempfile.TemporaryDirectory() as scratch:
        coarse_onnx, refiner_onnx = find_onnx(model, Path(scratch))
        coarse = name_part(path, "coarse")
        convert(coarse_onnx, coarse)
        if refiner_onnx is None:
            return coarse, None
        refiner = name_part(path, "refiner")
        convert(refiner_onnx, refiner)
        return coarse, refiner


def fix_shapes(config: ModelConfig, size: tuple[int, int] | None) -> dict[str, Shape]:
    """Compute the shapes of the networks' inputs for pictures of one size; empty for any size.

    There is one picture at a time, padded to the model's multiple. The refiner sees the whole picture at
    once, with its halo.
    """
    if size is None:
        return {}
    layout = lay_out(config, *size)
    windows = measure_windows(0, config.refiner_kernel or 1)
    height, width = layout.padding.padded_size
    return {
        "source": (1, 3, *layout.coarse_size),
        "plate": (1, config.plate_channels, *layout.coarse_size),
        "half": (1, config.hidden_channels + 10, height // 2 + windows.half, width // 2 + windows.half),
        "full": (1, 6, height + windows.full, width + windows.full),
    }


def key_in_parts(
    model: Model, coarse: Network, refiner: Network | None, name: str, *, fixed: bool
) -> KeyPair:
    """Run two networks with a router between them, with every cell refined.

    Args:
        model: The exported model.
        coarse: The coarse network.
        refiner: The refiner; None for a model without a refiner.
        name: Name of the library.
        fixed: Whether they are for pictures of one size, from :func:`fix_shapes`; otherwise for any size.
    """
    if not fixed:
        return key_parts(model, coarse, refiner, name)
    runtime = Parts(model, coarse, refiner, name)
    runtime.router = _WholeRouter()
    return lambda source, plate: key_with(runtime, source, plate, None, Refine("full"))


class _WholeRouter(NumpyRouter):
    """A router with one tile, the whole picture."""

    def refine(
        self,
        source: AnyArray,
        plate: AnyArray,
        coarse: Coarse[Float32Array],
        refine: Refine,
        network: Callable[[Float32Array, Float32Array], Float32Array],
        kernel: int,
    ) -> tuple[Float32Array, AnyArray]:
        if refine.mode != "full":
            return super().refine(source, plate, coarse, refine, network, kernel)
        top = np.float32(np.iinfo(source.dtype).max)
        both = np.concatenate([source[0], plate[0]], -1).transpose(2, 0, 1) / top
        maps = np.concatenate([coarse.hidden[0], coarse.alpha[0], coarse.residual[0]])
        height, width = both.shape[1:]
        size = (width // 2, height // 2)
        half = [cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in (*maps, *both)]
        windows = measure_windows(0, kernel)
        refined = network(_surround(np.stack(half), windows.half_halo), _surround(both, windows.full_halo))
        alpha, residual = np.split(refined, [1], axis=1)
        colour = (both[None, :3] + residual).clip(0, 1) * top
        return alpha[:, 0].clip(0, 1), np.rint(colour).astype(source.dtype).transpose(0, 2, 3, 1)


def _surround(maps: Float32Array, halo: int) -> Float32Array:
    """Make a batch of one picture, with zeros on all sides."""
    return np.pad(maps, [(0, 0), (halo, halo), (halo, halo)])[None].astype(np.float32)
