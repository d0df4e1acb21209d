"""TensorFlow (extra ``tensorflow``), with graphs converted from a model's ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.errors import ModelError, OptionError, UnavailableError
from cleanplate.frame import Float32Array
from cleanplate.models.registry import Model
from cleanplate.router import Coarse, Router
from cleanplate.router.numpy_router import NumpyRouter
from cleanplate.runtimes.runtime import require_onnx
from cleanplate.runtimes.tensorflow_graph import TensorFlowGraph
from cleanplate.runtimes.tensorflow_library import tf
from cleanplate.system.cores import usable_cores

DEVICES = ("cpu", "cuda")

INSTALL_HINTS = {"cuda": "pip install 'tensorflow[and-cuda]', with NVIDIA's driver (Linux)"}

_PLACES = {"cpu": "/CPU:0", "cuda": "/GPU:0"}


def working_devices() -> list[str]:
    """List the devices that this TensorFlow can use on this machine."""
    return [device for device in DEVICES if device == "cpu" or tf.config.list_physical_devices("GPU")]


def describe(device: str) -> str:
    """Describe a working device in words."""
    return f"TensorFlow {tf.__version__} on {device}"


class TensorFlowRuntime:
    """TensorFlow; see :class:`cleanplate.runtimes.runtime.Runtime`.

    On GPUs with TF32, TensorFlow rounds factors to it, unless the user disables that.

    Args:
        model: A model with ONNX files.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads within an operator, for this whole process; they cannot be changed after
            TensorFlow's first computation. None for one per core.

    Raises:
        OptionError: No such device.
        UnavailableError: The device is missing, or TensorFlow already runs with another number of threads.
        ModelError: The model has no ONNX files, or they are damaged or belong to another model.
    """

    name = "tensorflow"

    def __init__(self, model: Model, device: str = "cpu", threads: int | None = None) -> None:
        _open_device(device, threads)
        coarse_onnx = require_onnx(model)
        self.model = model
        self.device = device
        self.description = describe(device) + (f", {threads} threads" if threads else "")
        self.router: Router[Float32Array] = NumpyRouter((threads or usable_cores()) if device == "cpu" else 1)
        config = model.config
        self._coarse = _load(coarse_onnx, device, {"source": 3, "plate": config.plate_channels})
        self._refine: Callable[..., list[Any]] | None = None
        if model.refiner_onnx is not None:
            channels = {"half": config.hidden_channels + 10, "full": 6}
            self._refine = _load(model.refiner_onnx, device, channels)

    def coarse(self, source: Float32Array, plate: Float32Array) -> Coarse[Float32Array]:
        return Coarse(*(np.asarray(x) for x in self._coarse(source, plate)))

    def refine(self, half: Float32Array, full: Float32Array) -> Float32Array:
        if self._refine is None:
            raise ModelError(f"The model '{self.model.config.name}' has no refiner.")
        return np.asarray(self._refine(half, full)[0])


def _open_device(device: str, threads: int | None) -> None:
    if device not in DEVICES:
        raise OptionError(f"Unknown device {device!r} for tensorflow.", f"known: {', '.join(DEVICES)}")
    if device not in working_devices():
        raise UnavailableError(
            f"TensorFlow {tf.__version__} finds no {device!r} here.", INSTALL_HINTS[device]
        )
    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            # Do not reserve all of the GPU's memory: other programs need some, too.
            tf.config.experimental.set_memory_growth(gpu, True)
        if threads not in (None, tf.config.threading.get_intra_op_parallelism_threads()):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise UnavailableError(
            f"TensorFlow runs in this process already, and cannot be given {threads} threads any more."
            if threads
            else f"TensorFlow runs in this process already, and its memory cannot be limited: {error}.",
            "open this runtime before TensorFlow is used for anything else",
        ) from error


def _load(path: Path, device: str, channels: dict[str, int]) -> Callable[..., list[Any]]:
    """Convert an ONNX file to a function, from and to ONNX's order of axes.

    It is traced once, for all sizes.
    """
    graph = TensorFlowGraph(path)
    expected = {name: [None, None, None, count] for name, count in channels.items()}
    found = {spec.name: spec.shape.as_list() for spec in graph.inputs}
    if found != expected:
        raise ModelError(f"'{path}' does not fit its record: its inputs are {found}, not {expected}.")

    def compute(*pictures: Any) -> list[Any]:
        with tf.device(_PLACES[device]):
            outputs = graph(*(tf.transpose(x, (0, 2, 3, 1)) for x in pictures))
            return [tf.transpose(x, (0, 3, 1, 2)) for x in outputs]

    specs = [tf.TensorSpec([None, count, None, None], tf.float32, name) for name, count in channels.items()]
    function: Callable[..., list[Any]] = tf.function(
        compute, input_signature=specs, autograph=False
    ).get_concrete_function()
    return function
