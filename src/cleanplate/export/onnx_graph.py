"""ONNX graphs: traced by PyTorch, without information on the machine, written with the model's record."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cleanplate.errors import OutputError
from cleanplate.models.config import ModelConfig
from cleanplate.models.records import METADATA_KEY
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import temporary_file

if TYPE_CHECKING:
    import onnx

OPSET = 18
TOLERANCE = 1e-4
"""Largest allowed difference from PyTorch, relative to the largest value where that is over 1."""


def trace_onnx(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    free: Any,
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> onnx.ModelProto:
    """Trace a module to a graph without information on this machine.

    Args:
        module: A module in eval mode.
        inputs: Example inputs.
        free: Sizes that are not fixed, in the form of ``dynamic_shapes`` of ``torch.export.export``.
        input_names: Names of the graph's inputs.
        output_names: Names of the graph's outputs.
    """
    with quiet_exporter():
        traced = torch.export.export(module, inputs, dynamic_shapes=free, strict=False)
        program = torch.onnx.export(
            traced,
            dynamo=True,
            input_names=input_names,
            output_names=output_names,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return without_traces(model)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove information on the exporting machine: stack traces, with paths of its files."""
    graph = model.graph
    del graph.metadata_props[:]
    del model.metadata_props[:]
    for part in (*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    del model.functions[:]
    model.ClearField("doc_string")
    return model


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence the exporter's warnings of its own deprecated calls and of a missing torchvision."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning):
                warnings.filterwarnings(
                    "ignore", category=category, module=r"torch\.|onnxscript|onnx_ir|copyreg"
                )
            yield
    finally:
        logger.setLevel(level)


def write_model(model: onnx.ModelProto, config: ModelConfig, path: Path) -> None:
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, config.to_json()
    try:
        with temporary_file(path) as partial:
            partial.write_bytes(model.SerializeToString(deterministic=True))
            partial.replace(path)
    except OSError as error:
        raise OutputError(f"The model cannot be written to '{path}': {reason_of(error)}.") from error
