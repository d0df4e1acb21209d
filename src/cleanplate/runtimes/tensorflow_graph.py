"""Converts this package's ONNX graphs to native TensorFlow operators.

TensorFlow's convolutions on a CPU take pictures as (batch, height, width, channels) only, ONNX's as (batch,
channels, height, width). So each value carries the order of its axes: results of convolutions and resizes
have the channels last, and keep them there through all operators that allow it; operators on single axes
(Reshape, Gather, ...) get ONNX's order. Only the operators of this package's graphs are known.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from cleanplate.errors import ModelError
from cleanplate.frame import AnyArray
from cleanplate.runtimes.tensorflow_library import tf
from cleanplate.runtimes.tensorflow_operators import OPERATORS, Node, Tensor, Value, narrow


class TensorFlowGraph:
    """A network of this package, for calls inside of a ``tf.function``.

    Args:
        path: An ONNX file written by ``cleanplate.export``.
        half: Keep the weights of convolutions as float16; the arithmetic is float32.
        variables: Keep the weights as variables, so that functions that share this graph store them once;
            otherwise as constants, which TensorFlow rearranges for its convolutions once instead of at every
            call.

    Attributes:
        inputs: A ``tf.TensorSpec`` of each input, (batch, height, width, channels) with all but the last
            free.
        outputs: Names of the outputs.
        weights: The variables; empty without ``variables``.

    Raises:
        ModelError: The file is missing or damaged, or has an unknown operator; the message names it.
    """

    def __init__(self, path: Path, *, half: bool = False, variables: bool = False) -> None:
        graph = load_graph(path)
        if unknown := sorted({node.op_type for node in graph.node} - OPERATORS.keys()):
            raise ModelError(f"'{path}' cannot be run in TensorFlow: it has {', '.join(unknown)}.")
        self._nodes = list(graph.node)
        self._arrays = {x.name: narrow(onnx.numpy_helper.to_array(x)) for x in graph.initializer}
        self.inputs = [_specify(entry) for entry in graph.input if entry.name not in self._arrays]
        self.outputs = [entry.name for entry in graph.output]
        self.weights: list[Tensor] = []
        self._kernels: dict[str, Tensor] = {}
        for name, array in self._kernel_arrays().items():
            stored = array.astype(np.float16) if half else array
            if not np.isfinite(stored).all():
                raise ModelError(f"The weights {name} are too large for half precision.")
            if variables:
                stored = tf.Variable(stored, trainable=False, name=name.replace(".", "_"))
                self.weights.append(stored)
            self._kernels[name] = stored

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Compute the outputs, in their order; pictures have the channels last."""
        values = {spec.name: Value(x, x.shape.rank == 4) for spec, x in zip(self.inputs, inputs, strict=True)}
        values |= {name: Value(array) for name, array in self._arrays.items()}
        for node in self._nodes:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            operator = Node(node.op_type, attributes, len(node.output))
            operands = [values[name] if name else None for name in node.input]
            if node.op_type == "Conv":
                operands[1] = Value(tf.cast(tf.convert_to_tensor(self._kernels[node.input[1]]), tf.float32))
            result = OPERATORS[node.op_type](operator, *operands)
            results = result if isinstance(result, list) else [result]
            values |= dict(zip(node.output, results, strict=True))
        # Named, because TensorFlow Lite takes the names of its outputs from here.
        return [
            tf.identity(values[name].picture() if values[name].rank == 4 else values[name].tensor, name)
            for name in self.outputs
        ]

    def _kernel_arrays(self) -> dict[str, AnyArray]:
        """Read convolutions' weights as (height, width, in, out), or (height, width, in, 1) if depthwise.

        Files with weights in half precision have a Cast before each.
        """
        behind_cast = {n.output[0]: n.input[0] for n in self._nodes if n.op_type == "Cast"}
        arrays = {}
        for node in self._nodes:
            if node.op_type != "Conv":
                continue
            name = node.input[1]
            array = self._arrays.get(behind_cast.get(name, name))
            if array is None or array.ndim != 4:
                raise ModelError(f"The model cannot be run in TensorFlow: the weights {name} are not stored.")
            groups = next((a.i for a in node.attribute if a.name == "group"), 1)
            depthwise = groups > 1 and array.shape[:2] == (groups, 1)
            if groups > 1 and not depthwise:
                raise ModelError(f"The model cannot be run in TensorFlow: Conv with group = {groups}.")
            order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
            arrays[name] = np.ascontiguousarray(array.transpose(order), np.float32)
        return arrays


def load_graph(path: Path) -> onnx.GraphProto:
    """Load the graph of an ONNX file.

    Raises:
        ModelError: The file is missing or damaged.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        graph = onnx.load(path).graph
    except (DecodeError, OSError, ValueError) as error:
        raise ModelError(
            f"'{path}' is damaged, or no ONNX model: {error}.", "fetch or write it again"
        ) from error
    if not graph.node:
        raise ModelError(f"'{path}' is damaged, or no ONNX model.", "fetch or write it again")
    return graph


def _specify(entry: onnx.ValueInfoProto) -> Tensor:
    shape = [d.dim_value or None for d in entry.type.tensor_type.shape.dim]
    if len(shape) == 4:
        shape = [None, None, None, shape[1]]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
    return tf.TensorSpec(shape, tf.as_dtype(dtype), entry.name)
