"""Quantises the convolutions of ONNX networks to int8, for CPUs that multiply bytes faster than floats.

Static quantisation (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018): weights per output channel and symmetric, activations per
tensor, over ranges of values in typical pictures.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cleanplate.errors import ModelError
from cleanplate.export.export_options import Seen
from cleanplate.export.value_ranges import Range, measure_ranges
from cleanplate.frame import Float32Array
from cleanplate.models.config import ModelConfig

if TYPE_CHECKING:
    import onnx

FLOAT_CONVOLUTIONS = {"lite": ("coarse.stem.", "coarse.quarter.0.")}
"""Convolutions of a family that stay float. Those of lite see the difference of source and plate, which is a
few code values where subject and set are alike: rounding the weights of one convolution alone moved alpha by
3.5e-4 (stem), 1.6e-4 (the next one), at most 1.4e-4 (any other); rounding the stem's output by 2.8e-4 (lite
2.1, 12 pictures, `auto`). Their few channels gain no time in int8."""


def describe_int8(config: ModelConfig) -> ModelConfig:
    """Make the record of a model in int8: another name, the same version."""
    note = f"{config.name} {config.version} in int8: faster on CPUs with VNNI; for ONNX Runtime"
    return dataclasses.replace(config, name=f"{config.name}-int8", note=note)


def quantise_files(paths: list[Path], config: ModelConfig, calibrate: Callable[[], Iterable[Seen]]) -> None:
    """Replace float networks in place by networks with convolutions in int8.

    Args:
        paths: ``NAME.coarse.onnx``, and ``NAME.refiner.onnx`` if the model has one.
        config: Record for the new files.
        calibrate: See :class:`cleanplate.export.export_options.ExportOptions`; called once for each network.

    Raises:
        ModelError: A network got no input while the pictures were keyed.
        OutputError: A file cannot be written.
    """
    for path in paths:
        coarse = path.name.endswith(".coarse.onnx")
        feeds = (feed for seen in calibrate() for feed in (seen.coarse if coarse else seen.refiner))
        first = next(feeds, None)
        if first is None:
            part = "coarse network" if coarse else "refiner"
            raise ModelError(
                f"The cases for calibration give no input to the {part} of '{config.name}'.",
                "use cases with a subject and a plate that fits, for example from cleanplate synthesize",
            )
        _quantise(path, config, chain([first], feeds))


def _quantise(path: Path, config: ModelConfig, feeds: Iterator[dict[str, Float32Array]]) -> None:
    import onnx
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

    from cleanplate.export.onnx_graph import without_traces, write_model

    first = next(feeds)
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = (Path(folder) / name for name in ("prepared.onnx", "quantised.onnx"))
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        network = onnx.load(prepared)
        kept = list_float(network, config)
        folded = fold_relus(network, kept)
        onnx.save(folded, prepared)
        ranges = measure_ranges(network, _list_tensors(folded, kept), chain([first], feeds))
        quantize_static(
            prepared,
            quantised,
            # All ranges are given below; the library runs the network once nevertheless.
            _Reader(first),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=kept,
            per_channel=True,
            # Weights of 7 bits: without VNNI, x86 CPUs add two products in 16 bits, which overflows with 8
            # bits.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"TensorQuantOverrides": _describe(ranges)},
        )
        write_model(without_traces(onnx.load(quantised)), config, path)


def fold_relus(network: onnx.ModelProto, kept: Sequence[str]) -> onnx.ModelProto:
    """Remove each ReLU after a convolution that becomes int8: its output in unsigned bytes is clipped at 0.

    A range from 0 up has twice the steps of one for the values before the ReLU, and the value is rounded once
    instead of twice.

    Args:
        network: A float network; not changed.
        kept: Names of the convolutions that stay float.

    Returns:
        A network whose convolutions write the tensors of the ReLUs. It is right in int8 only.
    """
    import onnx

    folded = onnx.ModelProto()
    folded.CopyFrom(network)
    graph = folded.graph
    makers = {name: node for node in graph.node for name in node.output}
    uses = Counter(name for node in graph.node for name in node.input)
    results = {output.name for output in graph.output}
    for relu in [node for node in graph.node if node.op_type == "Relu"]:
        maker = makers.get(relu.input[0])
        if maker is None or maker.op_type != "Conv" or maker.name in kept:
            continue
        if uses[relu.input[0]] == 1 and not results & {relu.input[0], relu.output[0]}:
            maker.output[0] = relu.output[0]
            graph.node.remove(relu)
    return folded


def list_float(network: onnx.ModelProto, config: ModelConfig) -> list[str]:
    """List the names of the convolutions that stay float."""
    parts = FLOAT_CONVOLUTIONS.get(config.family, ())
    return [
        node.name
        for node in network.graph.node
        if node.op_type == "Conv" and any(part in node.input[1] for part in parts)
    ]


def _list_tensors(network: onnx.ModelProto, kept: Sequence[str]) -> list[str]:
    """List inputs and outputs of the convolutions that become int8."""
    nodes = [node for node in network.graph.node if node.op_type == "Conv" and node.name not in kept]
    return list(dict.fromkeys(name for node in nodes for name in (node.input[0], node.output[0])))


def _describe(ranges: dict[str, Range]) -> dict[str, list[dict[str, Any]]]:
    """Write ranges in the form of ONNX Runtime's quantiser."""
    return {
        name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in ranges.items()
    }


class _Reader:
    """A ``CalibrationDataReader`` of one input; it returns None at the end."""

    def __init__(self, feed: dict[str, Float32Array]) -> None:
        self._feeds = iter([feed])

    def get_next(self) -> dict[str, Float32Array] | None:
        return next(self._feeds, None)
