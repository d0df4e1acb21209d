"""TensorFlow SavedModel export: the whole keyer, and the two networks for users with their own router."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.export.export_options import Exported, ExportOptions
from cleanplate.export.parity import read_pair
from cleanplate.export.targets import RECORD
from cleanplate.export.tensorflow_keyer import KeyingGraph
from cleanplate.export.two_parts import Shape, find_onnx
from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.registry import Model
from cleanplate.router.layout import lay_out
from cleanplate.runtimes.tensorflow_graph import TensorFlowGraph
from cleanplate.runtimes.tensorflow_library import tf


def export_savedmodel(model: Model, path: Path, options: ExportOptions) -> Exported:
    """Write a folder with a SavedModel that TensorFlow loads without this package.

    Its signatures, all of float32 pictures (batch, height, width, channels) of any size, or of
    ``options.size``:

    - ``serving_default``: ``src`` and ``bgr``, 3 channels in [0, 1], to ``pha``, 1 channel, and ``fgr``, 3;
    - ``coarse``: ``source`` and ``plate`` to ``alpha``, ``residual``, ``error`` and ``hidden``, of any size;
    - ``refiner``: ``half`` and ``full`` to ``refined``, of any size; absent for a model without a refiner.

    With ``options.half`` the weights are stored as float16; the arithmetic is float32.

    Raises:
        ModelError: The model has no weights, or its graph has an unknown operator.
    """
    with tempfile.TemporaryDirectory() as scratch:
        coarse_onnx, refiner_onnx = find_onnx(model, Path(scratch))
        coarse = TensorFlowGraph(coarse_onnx, half=options.half, variables=True)
        refiner = None
        if refiner_onnx is not None:
            refiner = TensorFlowGraph(refiner_onnx, half=options.half, variables=True)
        record = Path(scratch) / RECORD
        record.write_text(model.config.to_json(), "utf-8")

        keyer = KeyingGraph(model.config, coarse, refiner, options.scale, options.refine)
        signatures = {"serving_default": _trace_keyer(keyer, options.size), "coarse": trace_named(coarse)}
        if refiner is not None:
            signatures["refiner"] = trace_named(refiner)
        module = tf.Module(name="cleanplate")
        # TensorFlow saves the variables that are attributes of the module.
        module.weights = coarse.weights + (refiner.weights if refiner else [])
        module.record = tf.saved_model.Asset(str(record))
        tf.saved_model.save(module, str(path), signatures=signatures)

    def key(source: Pixels, plate: Pixels) -> tuple[Float32Array, Float32Array]:
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
        pair = (tf.constant(x[None] / np.float32(255)) for x in (source, plate))
        found = serve(**dict(zip(("src", "bgr"), pair, strict=True)))
        return found["pha"][0, :, :, 0].numpy(), found["fgr"][0].numpy()

    size = read_pair(options.size)[0].shape
    refine = lay_out(model.config, size[0], size[1], options.scale, options.refine or "auto").refine
    return Exported([path], key, "float16" if options.half else "float32", refine=refine, scale=options.scale)


def trace_named(graph: TensorFlowGraph, shapes: Mapping[str, Shape] | None = None) -> Any:
    """Make a function from named pictures to named pictures of a network.

    Args:
        graph: The network.
        shapes: Shapes of its inputs, by name; the others are free.
    """
    shapes = shapes or {}
    specs = []
    for spec in graph.inputs:
        batch, channels, *size = shapes.get(spec.name, (None, spec.shape[3], None, None))
        specs.append(tf.TensorSpec([batch, *size, channels], spec.dtype, spec.name))

    def compute(*pictures: Any) -> dict[str, Any]:
        return dict(zip(graph.outputs, graph(*pictures), strict=True))

    return tf.function(compute, input_signature=specs, autograph=False).get_concrete_function()


def _trace_keyer(keyer: KeyingGraph, size: tuple[int, int] | None) -> Any:
    shape = [None, *(size or (None, None)), 3]
    specs = [tf.TensorSpec(shape, tf.float32, name) for name in ("src", "bgr")]
    return tf.function(keyer.__call__, input_signature=specs, autograph=False).get_concrete_function()
