"""Coarse network and refiner as files of their own: where they come from, and how what was written is run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from cleanplate.export.options import KeyPair
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
    """The model's ONNX files; made in the folder ``scratch`` of its weights where it has none.

    Raises:
        ModelError: The model has no weights either, or ONNX Runtime does not give PyTorch's numbers.
        MissingExtraError: ``onnxscript`` is not installed, and the files have to be made.
    """
    if model.coarse_onnx is not None:
        return model.coarse_onnx, model.refiner_onnx
    from cleanplate.export.onnx_export import export_onnx
    from cleanplate.models.load import load_network

    return export_onnx(load_network(model), model.config, scratch / model.config.name)


def convert_parts(
    model: Model, path: Path, convert: Callable[[Path, Path], None]
) -> tuple[Path, Path | None]:
    """Make two files of the model's ONNX files, and say where they are; None for a refiner that is not there.

    Args:
        model: See :func:`find_onnx`.
        path: ``lite.xml`` stands for ``lite.coarse.xml`` and ``lite.refiner.xml``.
        convert: Given an ONNX file, writes to the second path.
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
    """Shapes of the networks' inputs for pictures of one size; none where any size is wanted.

    There is one picture at a time, padded to what the model takes. The refiner sees all of it at once, with
    its halo.
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
    """Run two networks with a router between them, every cell refined.

    Args:
        model: What they are.
        coarse: The coarse network.
        refiner: The refiner; None for a model without one.
        name: Of the library.
        fixed: Whether they are for pictures of one size, as :func:`fix_shapes` says; otherwise for any.
    """
    if not fixed:
        return key_parts(model, coarse, refiner, name)
    runtime = Parts(model, coarse, refiner, name)
    runtime.router = _WholeRouter()
    return lambda source, plate: key_with(runtime, source, plate, None, Refine("full"))


class _WholeRouter(NumpyRouter):
    """A router that has one tile, the picture."""

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
    """A batch of one, with zeros on all sides."""
    return np.pad(maps, [(0, 0), (halo, halo), (halo, halo)])[None].astype(np.float32)
