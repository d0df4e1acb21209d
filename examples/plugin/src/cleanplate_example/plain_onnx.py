"""Runtime: ONNX Runtime without optimisation of the graph, whose errors are those of the model alone.

The module is the entry point's object. cleanplate reads from it:

- ``FILES``: the files that the runtime loads, ``onnx`` or ``weights``;
- ``DEVICES``, ``working_devices()``, ``describe(device)``, and ``INSTALL_HINTS`` for the other devices;
- ``open_runtime(model, device, threads)``, which gives an object with the guarantees of
  ``cleanplate.runtimes.Runtime``.
"""

import onnxruntime

from cleanplate.router import Coarse
from cleanplate.router.numpy_router import NumpyRouter

FILES = "onnx"
DEVICES = ("cpu",)
INSTALL_HINTS = {"cpu": "pip install onnxruntime"}


def working_devices():
    return ["cpu"]


def describe(device):
    return f"ONNX Runtime {onnxruntime.__version__} on {device}, graph as it is"


def open_runtime(model, device, threads):
    return PlainOnnx(model, device, threads)


class PlainOnnx:
    name = "plain-onnx"

    def __init__(self, model, device, threads):
        self.model = model
        self.device = device
        self.description = describe(device)
        self.router = NumpyRouter(1)
        self._coarse = _open(model.coarse_onnx, threads)
        self._refiner = _open(model.refiner_onnx, threads) if model.refiner_onnx else None

    def coarse(self, source, plate):
        maps = self._coarse.run(["alpha", "residual", "error", "hidden"], {"source": source, "plate": plate})
        return Coarse(*maps)

    def refine(self, half, full):
        return self._refiner.run(["refined"], {"half": half, "full": full})[0]


def _open(path, threads):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads or 0
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
