"""Coarse network and refiner as files of their own: where they come from, and how what was written is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cleanplate.export.check import key_with
from cleanplate.export.wish import Float, KeyPair
from cleanplate.models.registry import Model
from cleanplate.router import Coarse, Refine, Router
from cleanplate.router.numpy_router import NumpyRouter

Call = Callable[[Float, Float], Sequence[Float]]
"""Of a network: from two pictures (batch, channels, height, width) to its outputs, in order."""


def find_onnx(model: Model, scratch: Path) -> tuple[Path, Path | None]:
    """The model's ONNX files; made in the folder ``scratch`` of its weights where it has none.

    Raises:
        ModelError: The model has no weights either, or ONNX Runtime does not give PyTorch's numbers.
        MissingExtraError: ``onnxscript`` is not installed, and the files have to be made.
    """
    if model.coarse_onnx is not None:
        return model.coarse_onnx, model.refiner_onnx
    from cleanplate.export.onnx import export_onnx
    from cleanplate.models.build import load_network

    return export_onnx(load_network(model), model.config, scratch / model.config.name)


def name_parts(path: Path, refiner: bool) -> tuple[Path, Path | None]:
    """Paths of the two files: ``lite.xml`` stands for ``lite.coarse.xml`` and ``lite.refiner.xml``."""
    coarse, other = (path.with_name(f"{path.stem}.{part}{path.suffix}") for part in ("coarse", "refiner"))
    return coarse, other if refiner else None


def key_in_parts(model: Model, coarse: Call, refiner: Call | None) -> KeyPair:
    """Run two networks with the NumPy router between them, every cell refined."""
    parts = _Parts(model, coarse, refiner)
    return lambda source, plate: key_with(parts, source, plate, None, Refine("full"))


@dataclass
class _Parts:
    """A runtime of two functions; see :class:`cleanplate.runtimes.base.Runtime`."""

    model: Model
    coarse_call: Call
    refiner_call: Call | None
    name: str = "export"
    device: str = "cpu"
    description: str = "what was written"
    router: Router[Float] = field(default_factory=NumpyRouter)

    def coarse(self, source: Float, plate: Float) -> Coarse[Float]:
        return Coarse(*self.coarse_call(source, plate))

    def refine(self, half: Float, full: Float) -> Float:
        assert self.refiner_call is not None, "without a refiner no cell is selected"
        return np.ascontiguousarray(self.refiner_call(half, full)[0])
