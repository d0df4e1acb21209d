"""Runs an export of coarse network and refiner, in any library, behind the router."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cleanplate.errors import ModelError
from cleanplate.export.export_options import KeyPair
from cleanplate.export.parity import key_with
from cleanplate.frame import Float32Array
from cleanplate.models.registry import Model
from cleanplate.router import Coarse, Refine, Router
from cleanplate.router.numpy_router import NumpyRouter

Network = Callable[..., tuple[Float32Array, ...]]
"""Function from float32 arrays to float32 arrays; one picture or one tile a call."""


class Parts:
    """A :class:`cleanplate.runtimes.Runtime` of two functions, each for one picture or tile at a time.

    Args:
        model: The exported model.
        coarse: ``(source, plate)`` to alpha, residual, error and hidden features.
        refiner: ``(half, full)`` to alpha and residual; None for a model without a refiner.
        name: Name of the library.
    """

    device = "cpu"

    def __init__(self, model: Model, coarse: Network, refiner: Network | None, name: str) -> None:
        self.model = model
        self.name = self.description = name
        self.router: Router[Float32Array] = NumpyRouter(1)
        self._coarse = coarse
        self._refiner = refiner

    def coarse(self, source: Float32Array, plate: Float32Array) -> Coarse[Float32Array]:
        return Coarse(*_one_by_one(self._coarse, source, plate))

    def refine(self, half: Float32Array, full: Float32Array) -> Float32Array:
        if self._refiner is None:
            raise ModelError(f"The model '{self.model.config.name}' has no refiner.")
        return _one_by_one(self._refiner, half, full)[0]


def _one_by_one(network: Network, *batches: Float32Array) -> tuple[Float32Array, ...]:
    singles = [
        network(*(np.ascontiguousarray(array[i : i + 1]) for array in batches))
        for i in range(len(batches[0]))
    ]
    return tuple(np.concatenate(outputs) for outputs in zip(*singles, strict=True))


def name_part(path: Path, part: str) -> Path:
    """Give the path of a part: ``lite.coarse.xml`` or ``lite.refiner.xml`` for ``lite.xml``."""
    return path.with_name(f"{path.stem}.{part}{path.suffix}")


def key_parts(model: Model, coarse: Network, refiner: Network | None, name: str) -> KeyPair:
    """Run two exported networks on a pair, with every cell refined."""
    runtime = Parts(model, coarse, refiner, name)
    return lambda source, plate: key_with(runtime, source, plate, None, Refine("full"))
