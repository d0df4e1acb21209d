"""Write the model of this plug-in: a difference keyer as an ONNX graph of 2 kB, without training.

    pip install cleanplate onnx
    python make_model.py

Any network with these inputs and outputs is a coarse network; the record says how cleanplate feeds it.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cleanplate.models import ModelConfig
from cleanplate.models.model_manifest import list_in_manifest
from cleanplate.models.records import METADATA_KEY

FOLDER = Path(__file__).parent / "src" / "cleanplate_example" / "models"

BLACK, WHITE = 0.06, 0.18
"""Differences that count as background and as subject; chosen by eye on samples/photo.jpg."""

RECORD = ModelConfig(
    name="difference",
    version="1.0",
    family="lite",
    backbone=None,
    refiner_kernel=None,
    hidden_channels=1,
    coarse_output_stride=1,
    size_multiple=1,
    shrink="area",
    plate_channels=3,
    target_long_side=640,
    refine="off",
    licence="MIT",
    source="written by hand",
    note="the mean difference of source and plate over 5x5 pixels, between two thresholds",
)


def make():
    source, plate = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for name in ("source", "plate")
    )
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, "height", "width"])
        for name, channels in (("alpha", 1), ("residual", 3), ("error", 1), ("hidden", 1))
    ]
    numbers = {"black": BLACK, "range": WHITE - BLACK, "zero": 0.0, "one": 1.0}
    constants = [
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in numbers.items()
    ]
    node = helper.make_node
    nodes = [
        node("Sub", ["source", "plate"], ["signed"]),
        node("Abs", ["signed"], ["difference"]),
        node("AveragePool", ["difference"], ["smooth"], kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
        node("ReduceMax", ["smooth"], ["largest"], axes=[1]),
        node("Sub", ["largest", "black"], ["above"]),
        node("Div", ["above", "range"], ["slope"]),
        node("Clip", ["slope", "zero", "one"], ["alpha"]),
        node("Mul", ["source", "zero"], ["residual"]),
        node("Mul", ["alpha", "zero"], ["error"]),
        node("Identity", ["error"], ["hidden"]),
    ]
    graph = helper.make_graph(nodes, "difference", [source, plate], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: RECORD.to_json()})
    onnx.checker.check_model(model, full_check=True)
    FOLDER.mkdir(exist_ok=True)
    onnx.save(model, FOLDER / "difference.coarse.onnx")
    list_in_manifest(FOLDER, "difference")


if __name__ == "__main__":
    make()
