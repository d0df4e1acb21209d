"""ExecuTorch export: both networks as programs for phones and small devices, for XNNPACK on their CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cleanplate.errors import OptionError
from cleanplate.export.export_options import Exported, ExportOptions
from cleanplate.export.parts import Network, key_parts, name_part
from cleanplate.export.traced import Part, quiet_converter, trace_parts
from cleanplate.frame import Float32Array
from cleanplate.models.config import ModelConfig
from cleanplate.models.records import METADATA_KEY
from cleanplate.models.registry import Model


def export_executorch(model: Model, path: Path, options: ExportOptions) -> Exported:
    """Write ``x.coarse.pte`` and ``x.refiner.pte``.

    ``forward`` has the float32 inputs and outputs of the networks in ``docs/architecture.md``, one picture or
    one tile a call. The method ``cleanplate`` returns the model's record as JSON.

    Raises:
        OptionError: Half precision, which XNNPACK supports for few operators only.
    """
    if options.half:
        raise OptionError("ExecuTorch programs are written in float32 only.", "leave --half out")
    written = {}
    with quiet_converter():
        for part in trace_parts(model, options.size):
            written[part.name] = name_part(path, part.name)
            written[part.name].write_bytes(_lower(part, model.config))
        networks = {name: _load(file) for name, file in written.items()}
    key = key_parts(model, networks["coarse"], networks.get("refiner"), "executorch")
    return Exported(list(written.values()), key)


def _lower(part: Part, config: ModelConfig) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    edge = to_edge_transform_and_lower(
        part.program,
        partitioner=[XnnpackPartitioner()],
        constant_methods={METADATA_KEY: config.to_json()},
    )
    return bytes(edge.to_executorch().buffer)


def _load(file: Path) -> Network:
    from executorch.runtime import Runtime

    program: Any = Runtime.get().load_program(file)
    method = program.load_method("forward")

    def run(*inputs: Float32Array) -> tuple[Float32Array, ...]:
        outputs = method.execute([torch.from_numpy(array) for array in inputs])
        # A copy: the results lie in the method's memory, and the next call overwrites them.
        return tuple(np.array(tensor.numpy()) for tensor in outputs)

    return run
