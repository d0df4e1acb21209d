"""Protocol of the runtimes for models with a plate."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from cleanplate.errors import ModelError
from cleanplate.models.registry import Model
from cleanplate.router import Coarse, Router

Array = TypeVar("Array")


class Runtime(Protocol[Array]):
    """One loaded model on one device.

    A runtime guarantees that

    - it runs on :attr:`device` or cannot be created: there is no silent move to the CPU;
    - :meth:`coarse` and :meth:`refine` take the arrays of :attr:`router`, and the other way round, so arrays
      stay on the device between the steps;
    - its numbers are the model's, to rounding: 1e-4 in float32, 2e-2 where it computes in half precision;
    - equal input gives equal output, and no input is written to;
    - sizes and batches may change from call to call, and memory follows the largest, not their number;
    - it serves one call at a time, from any thread.

    Attributes:
        name: A name in ``cleanplate.runtimes.RUNTIMES``.
        device: ``"cpu"``, ``"cuda"`` ..., the user's name of it.
        description: Library, device and precision in words, for people.
        model: The loaded model.
        router: Router for this runtime's arrays.
    """

    name: str
    device: str
    description: str
    model: Model
    router: Router[Array]

    def coarse(self, source: Array, plate: Array) -> Coarse[Array]:
        """Run the coarse network.

        Args:
            source: ``(B, 3, h, w)`` in [0, 1], from ``router.shrink``; both sides multiples of
                ``model.config.size_multiple``.
            plate: ``(B, model.config.plate_channels, h, w)``, of the same kind.
        """
        ...

    def refine(self, half: Array, full: Array) -> Array:
        """Run the refiner on windows that the router cut: ``(N, 4, side, side)``, alpha and residual.

        Only for a model with a refiner: ``config.refiner_kernel`` is not None.
        """
        ...


def require_onnx(model: Model) -> Path:
    """Give the coarse network's ONNX file; ModelError if the model has none."""
    if model.coarse_onnx is None:
        raise ModelError(
            f"The model '{model.config.name}' has no ONNX files.", "use --runtime=torch, or export it first"
        )
    return model.coarse_onnx
