"""Writes the convolution of ``cleanplate bench``: ``python tests/cli/make_plain_convolution.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import cleanplate

CHANNELS = 64
PATH = Path(cleanplate.__file__).parent / "cli" / "commands" / "plain_convolution.onnx"


def make_convolution() -> onnx.ModelProto:
    """A 3 x 3 convolution of 64 to 64 channels with one bias; its weights are made when it is loaded."""
    shape = numpy_helper.from_array(np.array([CHANNELS, CHANNELS, 3, 3]), "shape")
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.01])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["weights"], value=value),
        helper.make_node("Conv", ["x", "weights"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    ]
    pictures = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, CHANNELS, "h", "w"]) for name in "xy"
    ]
    graph = helper.make_graph(nodes, "plain convolution", pictures[:1], pictures[1:], [shape])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="cleanplate"
    )


if __name__ == "__main__":
    PATH.write_bytes(make_convolution().SerializeToString(deterministic=True))
