"""ONNX Runtime, part of the core, on the CPU and on the execution providers of the installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import onnxruntime  # type: ignore[import-untyped]

from cleanplate.errors import ModelError, OptionError, UnavailableError
from cleanplate.frame import Float32Array
from cleanplate.models.registry import Model
from cleanplate.router import Coarse, Router
from cleanplate.router.numpy_router import NumpyRouter
from cleanplate.runtimes.runtime import require_onnx
from cleanplate.system.cores import quota_threads, usable_cores
from cleanplate.system.system_errors import explain_system_error

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}

DEVICES = tuple(PROVIDERS)

INSTALL_HINTS = {
    "cuda": "pip install onnxruntime-gpu, with NVIDIA's CUDA and cuDNN; or pip install 'cleanplate[torch]'",
    "tensorrt": "pip install onnxruntime-gpu, with NVIDIA's TensorRT",
    "directml": "pip install onnxruntime-directml (Windows)",
    "coreml": "install onnxruntime on macOS",
    "openvino": "pip install onnxruntime-openvino",
}

_PROVIDER_OPTIONS: dict[str, dict[str, str]] = {"openvino": {"precision": "FP32"}}

_COARSE_INPUTS = ("source", "plate")
_COARSE_OUTPUTS = ("alpha", "residual", "error", "hidden")
_REFINER_INPUTS = ("half", "full")
_REFINER_OUTPUTS = ("refined",)

_FATAL_ONLY = 4


def working_devices() -> list[str]:
    """List the devices that the installed ONNX Runtime was built for; their drivers are not tested."""
    built_for = onnxruntime.get_available_providers()
    return [device for device, provider in PROVIDERS.items() if provider in built_for]


class OnnxRuntime:
    """ONNX Runtime; see :class:`cleanplate.runtimes.runtime.Runtime`.

    Args:
        model: A model with ONNX files.
        device: A key of ``PROVIDERS``.
        threads: CPU threads within an operator; None for one per core.
        profile: Beginning of the paths of ONNX Runtime's profiles, one for each network; None: no profiles.

    Raises:
        OptionError: No such device.
        UnavailableError: The device is missing or does not work.
        ModelError: The model has no ONNX files, or they are damaged or belong to another model.
    """

    name = "onnx"

    def __init__(
        self, model: Model, device: str = "cpu", threads: int | None = None, *, profile: Path | None = None
    ) -> None:
        check_device(device)
        coarse_onnx = require_onnx(model)
        self.model = model
        self.device = device
        self.description = describe(device) + (f", {threads} threads" if threads else "")
        # On the CPU each of the router's threads refines its own tiles; an accelerator takes one call at a
        # time.
        workers = (threads or usable_cores()) if device == "cpu" else 1
        self.router: Router[Float32Array] = NumpyRouter(workers)
        config = model.config
        self._coarse = open_session(coarse_onnx, device, threads, _COARSE_INPUTS, _COARSE_OUTPUTS, profile)
        _check_channels(self._coarse, coarse_onnx, "plate", config.plate_channels)
        self._refiner: onnxruntime.InferenceSession | None = None
        if model.refiner_onnx is not None:
            inner = 1 if workers > 1 else threads
            self._refiner = open_session(
                model.refiner_onnx, device, inner, _REFINER_INPUTS, _REFINER_OUTPUTS, profile
            )
            _check_channels(self._refiner, model.refiner_onnx, "half", config.hidden_channels + 10)

    def coarse(self, source: Float32Array, plate: Float32Array) -> Coarse[Float32Array]:
        alpha, residual, error, hidden = run_session(
            self._coarse, _COARSE_OUTPUTS, {"source": source, "plate": plate}, str(self.model.coarse_onnx)
        )
        count, _, height, width = source.shape
        stride = self.model.config.coarse_output_stride
        size = (height // stride, width // stride)
        channels = (1, 3, 1, self.model.config.hidden_channels)
        shapes = [(count, channel, *size) for channel in channels]
        if [alpha.shape, residual.shape, error.shape, hidden.shape] != shapes:
            raise ModelError(
                f"'{self.model.coarse_onnx}' does not fit its record: its maps have other sizes."
            )
        return Coarse(alpha, residual, error, hidden)

    def refine(self, half: Float32Array, full: Float32Array) -> Float32Array:
        if self._refiner is None:
            raise ModelError(f"The model '{self.model.config.name}' has no refiner.")
        path = str(self.model.refiner_onnx)
        refined: Float32Array = run_session(
            self._refiner, _REFINER_OUTPUTS, {"half": half, "full": full}, path
        )[0]
        if refined.shape[:2] != (len(full), 4):
            raise ModelError(f"'{path}' does not fit its record: its result has shape {refined.shape}.")
        return refined

    def end_profiles(self) -> list[Path]:
        """Finish the profiles, and return their paths."""
        sessions = [session for session in (self._coarse, self._refiner) if session is not None]
        return [Path(session.end_profiling()) for session in sessions]


def check_device(device: str) -> None:
    """Raise OptionError or UnavailableError unless ONNX Runtime was built for this device."""
    if device not in PROVIDERS:
        raise OptionError(f"Unknown device {device!r} for onnx.", f"known: {', '.join(PROVIDERS)}")
    if device not in working_devices():
        raise UnavailableError(
            f"The installed ONNX Runtime {onnxruntime.__version__} cannot use {device!r}.",
            INSTALL_HINTS[device],
        )


def open_session(
    path: Path,
    device: str,
    threads: int | None,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    profile: Path | None = None,
) -> onnxruntime.InferenceSession:
    """Load one network, and verify its inputs and its device."""
    options = onnxruntime.SessionOptions()
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = f"{profile}-{path.stem}"
    options.intra_op_num_threads = threads or quota_threads() or 0
    options.log_severity_level = _FATAL_ONLY
    # Sizes change with every frame's tiles; a memory plan for each size would be kept forever.
    options.enable_mem_pattern = False
    # "session.set_denormal_as_zero" stays off: it changes the arithmetic of the opening thread, which is the
    # user's, permanently. Threads that spin while they wait take cores from the router, the decoder and the
    # encoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    provider = (PROVIDERS[device], _PROVIDER_OPTIONS.get(device, {}))
    try:
        # The fallback would print to stdout, and continue on the CPU.
        session = onnxruntime.InferenceSession(path, options, providers=[provider], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions have no common class of their own
        if device != "cpu":
            raise UnavailableError(
                f"ONNX Runtime cannot use {device!r}: {error}.", INSTALL_HINTS[device]
            ) from error
        raise ModelError(
            f"'{path}' is damaged, or no ONNX model: {error}.", "fetch or write it again"
        ) from error
    # If a provider fails to start, ONNX Runtime continues on the CPU and only logs it.
    if PROVIDERS[device] not in session.get_providers():
        raise UnavailableError(
            f"ONNX Runtime was built for {device!r} but cannot use it here.", INSTALL_HINTS[device]
        )
    found = ({x.name for x in session.get_inputs()}, {x.name for x in session.get_outputs()})
    if found != (set(inputs), set(outputs)):
        raise ModelError(
            f"'{path}' is no network of this package: it maps {', '.join(sorted(found[0]))} "
            f"to {', '.join(sorted(found[1]))}, not {', '.join(inputs)} to {', '.join(outputs)}."
        )
    return session


def run_session(session: Any, outputs: tuple[str, ...], feed: dict[str, Any], path: str) -> list[Any]:
    """Run one network.

    Raises:
        ModelError: The file is damaged inside, so that ONNX Runtime cannot compute it.
        UnavailableError: The memory is not sufficient.
    """
    try:
        return cast(list[Any], session.run(outputs, feed))
    except Exception as error:  # ONNX Runtime's exceptions have no common class of their own
        explained = explain_system_error(error)
        raise explained or ModelError(
            f"'{path}' cannot be computed: {error}.", "fetch or write it again"
        ) from error


def _check_channels(session: Any, path: Path, name: str, expected: int) -> None:
    shape = next(x.shape for x in session.get_inputs() if x.name == name)
    if len(shape) != 4 or shape[1] != expected:
        raise ModelError(
            f"'{path}' does not fit its record: {name} has shape {shape}, not {expected} channels."
        )


def describe(device: str) -> str:
    """Describe a device in words."""
    return f"ONNX Runtime {onnxruntime.__version__} on {device}"
