"""OpenVINO (extra ``openvino``): Intel's library, for its GPUs and NPUs and for any x86 or ARM CPU."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from cleanplate.errors import ModelError, OptionError, UnavailableError
from cleanplate.frame import Float32Array
from cleanplate.models.registry import Model
from cleanplate.router import Coarse, Router
from cleanplate.router.numpy_router import NumpyRouter
from cleanplate.runtimes.runtime import require_onnx
from cleanplate.system.cores import usable_cores

DEVICES = ("cpu", "gpu", "npu")

INSTALL_HINTS = {
    "gpu": "needs an Intel GPU and its OpenCL driver: https://docs.openvino.ai",
    "npu": "needs an Intel NPU and its driver: https://docs.openvino.ai",
}


def working_devices() -> list[str]:
    """List the devices that this OpenVINO can use on this machine."""
    # Several GPUs are named GPU.0, GPU.1 ...
    found = {name.partition(".")[0].lower() for name in openvino.Core().available_devices}
    return [device for device in DEVICES if device in found]


def describe(device: str) -> str:
    """Describe a working device in words."""
    version = openvino.__version__.partition("-")[0]
    return f"OpenVINO {version} on {device}"


class OpenVinoRuntime:
    """OpenVINO: float32 on the CPU, half precision on GPU and NPU; see :class:`.Runtime`.

    Args:
        model: A model with ONNX files.
        device: ``cpu``, ``gpu`` or ``npu``.
        threads: CPU threads within an operator; None for one per core.

    Raises:
        OptionError: No such device.
        UnavailableError: The device is missing or cannot run the network.
        ModelError: The model has no ONNX files, or they are damaged or belong to another model.
    """

    name = "openvino"

    def __init__(self, model: Model, device: str = "cpu", threads: int | None = None) -> None:
        if device not in DEVICES:
            raise OptionError(f"Unknown device {device!r} for openvino.", f"known: {', '.join(DEVICES)}")
        if device not in working_devices():
            raise UnavailableError(
                f"OpenVINO {openvino.__version__} finds no {device!r} here.", INSTALL_HINTS[device]
            )
        coarse_onnx = require_onnx(model)
        self.model = model
        self.device = device
        self.description = describe(device) + (f", {threads} threads" if threads else "")
        config = model.config
        workers = (threads or usable_cores()) if device == "cpu" else 1
        self.router: Router[Float32Array] = NumpyRouter(workers)
        channels = {"source": 3, "plate": config.plate_channels}
        self._coarse = Network(coarse_onnx, device, channels, threads=threads)
        self._refiner: Network | None = None
        if model.refiner_onnx is not None:
            channels = {"half": config.hidden_channels + 10, "full": 6}
            self._refiner = Network(model.refiner_onnx, device, channels, threads=threads, streams=workers)

    def coarse(self, source: Float32Array, plate: Float32Array) -> Coarse[Float32Array]:
        return Coarse(*self._coarse(source, plate))

    def refine(self, half: Float32Array, full: Float32Array) -> Float32Array:
        if self._refiner is None:
            raise ModelError(f"The model '{self.model.config.name}' has no refiner.")
        return self._refiner(half, full)[0]


class Network:
    """One network on one device, compiled without fixed sizes.

    The first call with a new size takes twice the time, while kernels are chosen for it.

    Args:
        path: ``.onnx``, or ``.xml`` with its ``.bin`` beside it.
        device: An available one of ``DEVICES``.
        channels: Channels of each input, by name.
        threads: CPU threads; None for one per core.
        streams: Number of calls that may run at once, each on its share of the threads.

    Raises:
        ModelError: The file is damaged, or has other inputs.
        UnavailableError: The device cannot run it.
    """

    def __init__(
        self,
        path: Path,
        device: str,
        channels: dict[str, int],
        *,
        threads: int | None = None,
        streams: int = 1,
    ) -> None:
        core = openvino.Core()
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            raise ModelError(
                f"'{path}' is damaged, or no ONNX model: {_first_line(error)}", "fetch or write it again"
            ) from error
        found = {entry.any_name: str(entry.partial_shape[1]) for entry in model.inputs}
        if found != {name: str(count) for name, count in channels.items()}:
            raise ModelError(
                f"'{path}' does not fit its record: its inputs have {found}, not {channels} channels."
            )
        settings: dict[str, Any] = {}
        if device == "cpu":
            settings = {"NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
            # By default OpenVINO computes in bfloat16 on CPUs that have it.
            settings["INFERENCE_PRECISION_HINT"] = "f32"
            if threads:
                settings["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = core.compile_model(model, device.upper(), settings)
        except RuntimeError as error:
            raise UnavailableError(
                f"OpenVINO cannot run this model on {device!r}: {_first_line(error)}",
                "use another device or runtime",
            ) from error
        self._compiled = compiled
        # A request serves one call at a time; a deque shares the requests safely among threads.
        self._free: deque[Any] = deque()

    def __call__(self, *inputs: Float32Array) -> list[Float32Array]:
        request = self._take()
        try:
            outputs = request.infer(list(inputs), share_inputs=True)
            return [np.asarray(outputs[number]) for number in range(len(outputs))]
        finally:
            self._free.append(request)

    def _take(self) -> Any:
        try:
            return self._free.pop()
        except IndexError:
            return self._compiled.create_infer_request()


def _first_line(error: Exception) -> str:
    """Shorten OpenVINO's message to its first line, without positions in its source code."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return said[0] if said else str(error)
