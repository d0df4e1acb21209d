"""Quantises the convolutions of ONNX networks to int8, for CPUs that multiply bytes faster than floats.

Static quantisation (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018): weights per output channel and symmetric, activations per
tensor, over the whole range of values in typical pictures.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from cleanplate.errors import ModelError
from cleanplate.export.export_options import Seen
from cleanplate.frame import Float32Array
from cleanplate.models.config import ModelConfig


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

    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = (Path(folder) / name for name in ("prepared.onnx", "quantised.onnx"))
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantised,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            # Weights of 7 bits: without VNNI, x86 CPUs add two products in 16 bits, which overflows with 8
            # bits.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        write_model(without_traces(onnx.load(quantised)), config, path)


class _Reader:
    """A ``CalibrationDataReader`` over prepared inputs; it returns None at the end."""

    def __init__(self, feeds: Iterator[dict[str, Float32Array]]) -> None:
        self._feeds = feeds

    def get_next(self) -> dict[str, Float32Array] | None:
        return next(self._feeds, None)
