"""TensorFlow Lite export: coarse network and refiner, for phones and small computers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.export.export_options import Exported, ExportOptions
from cleanplate.export.parts import Network
from cleanplate.export.savedmodel import trace_named
from cleanplate.export.two_parts import Shape, convert_parts, fix_shapes, key_in_parts
from cleanplate.frame import Float32Array
from cleanplate.models.config import ModelConfig
from cleanplate.models.records import METADATA_KEY
from cleanplate.models.registry import Model
from cleanplate.runtimes.tensorflow_graph import TensorFlowGraph
from cleanplate.runtimes.tensorflow_library import quiet, tf


def export_tflite(model: Model, path: Path, options: ExportOptions) -> Exported:
    """Write ``x.coarse.tflite`` and ``x.refiner.tflite``.

    Their signature has the names of the ONNX files; pictures are (batch, height, width, channels), float32.
    Their sizes are free: an interpreter is resized to its inputs. With ``options.size`` they are fixed, as
    GPU delegates require: one picture, padded to the model's multiple, and a refiner for the whole picture at
    once, with its halo.

    With ``options.half`` the weights are stored as float16.

    Raises:
        ModelError: The model has no weights, or its graph has an unknown operator.
    """
    shapes = fix_shapes(model.config, options.size)
    coarse_path, refiner_path = convert_parts(
        model, path, lambda onnx, written: _write(onnx, written, shapes, model.config, options.half)
    )
    coarse = _open(coarse_path, ("source", "plate"), ("alpha", "residual", "error", "hidden"))
    refiner = None if refiner_path is None else _open(refiner_path, ("half", "full"), ("refined",))
    return Exported(
        [file for file in (coarse_path, refiner_path) if file is not None],
        key_in_parts(model, coarse, refiner, "tflite", fixed=options.size is not None),
        "float16" if options.half else "float32",
    )


def _write(onnx: Path, path: Path, shapes: dict[str, Shape], config: ModelConfig, half: bool) -> None:
    function = trace_named(TensorFlowGraph(onnx), shapes)
    # The converter asks for an owner of the function's variables; there are no variables.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with quiet():  # it logs its error again at length
        converted = converter.convert()
    path.write_bytes(_with_record(converted, config))


def _with_record(converted: bytes, config: ModelConfig) -> bytes:
    """Add the model's record to the file's metadata."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    content = flatbuffer_utils.convert_bytearray_to_object(bytearray(converted))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(config.to_json().encode(), np.uint8)
    entry.name, entry.buffer = METADATA_KEY, len(content.buffers)
    content.buffers.append(buffer)
    content.metadata = [*(content.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def _open(path: Path, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Network:
    """Open a network on disk as a function in ONNX's order of axes."""
    run: list[Any] = []

    def call(*pictures: Float32Array) -> tuple[Float32Array, ...]:
        if not run:
            run.append(_interpret(path))
        feed = {
            name: np.ascontiguousarray(x.transpose(0, 2, 3, 1))
            for name, x in zip(inputs, pictures, strict=True)
        }
        found = run[0](**feed)
        return tuple(found[name].transpose(0, 3, 1, 2) for name in outputs)

    return call


def _interpret(path: Path) -> Any:
    # TensorFlow warns since 2.18 that its interpreter will move to a package of its own.
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        return tf.lite.Interpreter(str(path)).get_signature_runner()
