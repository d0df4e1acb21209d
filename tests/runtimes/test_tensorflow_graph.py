"""ONNX graphs in native TensorFlow: operators and networks, compared with ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'cleanplate[tensorflow]'")
pytest.importorskip("tensorflow", reason="needs TensorFlow: make test-runtimes")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from cleanplate.errors import ModelError  # noqa: E402
from cleanplate.models.registry import EMBEDDED  # noqa: E402
from cleanplate.runtimes.tensorflow_graph import TensorFlowGraph  # noqa: E402
from cleanplate.runtimes.tensorflow_library import tf  # noqa: E402


def compare(path: Path, *inputs: Any, atol: float = 1e-5, **options: Any) -> None:
    """Both libraries on the same pictures ``(batch, channels, height, width)``."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(
        None, {x.name: value for x, value in zip(session.get_inputs(), inputs, strict=True)}
    )
    graph = TensorFlowGraph(path, **options)
    function = tf.function(graph, input_signature=graph.inputs, autograph=False)
    found = function(*(x.transpose(0, 2, 3, 1) for x in inputs))
    assert [x.name for x in session.get_outputs()] == graph.outputs
    for name, one, other in zip(graph.outputs, found, expected, strict=True):
        values = one.numpy()
        if values.ndim == 4:
            values = values.transpose(0, 3, 1, 2)
        assert values.shape == other.shape, name
        np.testing.assert_allclose(values, other, atol=atol, rtol=0, err_msg=name)


def random(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).random(shape, np.float32)


def write(path: Path, nodes: list[Any], constants: dict[str, Any], channels: int = 4) -> Path:
    """A graph from ``x`` (n, channels, h, w) to ``y``."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    arrays = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", [x], [y], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


KERNEL = random(7, 6, 4, 3, 3) - 0.5
DEPTHWISE = random(8, 4, 1, 3, 3) - 0.5
FLOAT = {"zero": np.float32(0), "half": np.float32(0.5), "six": np.float32(6)}


@pytest.mark.parametrize("size", [(12, 16), (13, 17)])
@pytest.mark.parametrize(
    ("node", "constants"),
    [
        (helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1]), {"k": KERNEL}),
        (helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2]), {"k": KERNEL}),
        (helper.make_node("Conv", ["x", "k"], ["y"], pads=[3, 3, 3, 3], dilations=[3, 3]), {"k": KERNEL}),
        (helper.make_node("Conv", ["x", "k"], ["y"], pads=[0, 1, 2, 0]), {"k": KERNEL}),
        (helper.make_node("Conv", ["x", "k", "b"], ["y"]), {"k": KERNEL, "b": random(1, 6)}),
        (helper.make_node("Conv", ["x", "k"], ["y"], group=4, pads=[1, 1, 1, 1]), {"k": DEPTHWISE}),
        (helper.make_node("Conv", ["x", "k"], ["y"], group=4, strides=[2, 2]), {"k": DEPTHWISE}),
        (
            helper.make_node("Conv", ["x", "k"], ["y"], group=4, pads=[2] * 4, dilations=[2, 2]),
            {"k": DEPTHWISE},
        ),
        (helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]), {}),
        (helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), {}),
        (helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2]), {}),
        (helper.make_node("Clip", ["x", "zero", "half"], ["y"]), FLOAT),
        (helper.make_node("Clip", ["x", "zero", "six"], ["y"]), FLOAT),
        (helper.make_node("Clip", ["x", "half"], ["y"]), FLOAT),
        (helper.make_node("Clip", ["x", "", "half"], ["y"]), FLOAT),
        (helper.make_node("Sub", ["x", "c"], ["y"]), {"c": random(2, 4, 1, 1)}),
        (helper.make_node("Mul", ["c", "x"], ["y"]), {"c": random(2, 1, 4, 1, 1)}),
        (helper.make_node("Div", ["x", "half"], ["y"]), FLOAT),
        (helper.make_node("ReduceMean", ["x", "a"], ["y"]), {"a": np.array([2, 3])}),
        (helper.make_node("ReduceSum", ["x", "a"], ["y"]), {"a": np.array([-3])}),
        (
            helper.make_node("Slice", ["x", "s", "e", "a"], ["y"]),
            {"s": np.array([1, 2]), "e": np.array([3, 2**63 - 1]), "a": np.array([1, -1])},
        ),
        (helper.make_node("Reshape", ["x", "s"], ["y"]), {"s": np.array([2, -1])}),
        (
            helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear"),
            {"s": np.array([1, 1, 2, 2], np.float32)},
        ),
        (
            helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="linear"),
            {"s": np.array([2, 4, 21, 10])},
        ),
        (
            helper.make_node(
                "Resize", ["x", "", "s"], ["y"], mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            ),
            {"s": np.array([1, 1, 2, 2], np.float32)},
        ),
    ],
    ids=lambda value: value.op_type if hasattr(value, "op_type") else "",
)  # fmt: skip
def test_each_operator_equals_onnx_runtime(
    node: Any, constants: dict[str, Any], size: tuple[int, int], tmp_path: Path
) -> None:
    compare(write(tmp_path / "x.onnx", [node], constants), 3 * random(0, 2, 4, *size) - 1)


def test_sizes_are_computed(tmp_path: Path) -> None:
    """Shape, Squeeze, Div, Add, Concat, Split, Expand and Resize as BGMv2's decoder has them."""
    nodes = [
        helper.make_node("Shape", ["x"], ["h"], start=2, end=3),
        helper.make_node("Squeeze", ["h"], ["scalar"]),
        helper.make_node("Add", ["scalar", "one"], ["more"]),
        helper.make_node("Div", ["more", "two"], ["rows"]),
        helper.make_node("Reshape", ["rows", "minus"], ["side"]),
        helper.make_node("Shape", ["x"], ["batch"], start=0, end=2),
        helper.make_node("Concat", ["batch", "side", "side"], ["size"], axis=0),
        helper.make_node("Resize", ["x", "", "", "size"], ["small"], mode="linear"),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"]),
        helper.make_node("Concat", ["ones", "side", "side"], ["wide"], axis=0),
        helper.make_node("Expand", ["mean", "wide"], ["spread"]),
        helper.make_node("Concat", ["small", "spread"], ["both"], axis=1),
        helper.make_node("Split", ["both", "parts"], ["first", "second"], axis=1),
        helper.make_node("Relu", ["second"], ["y"]),
    ]
    constants = {
        "one": np.array(1), "two": np.array(2), "minus": np.array([-1]), "axes": np.array([2, 3]),
        "ones": np.array([1, 1]), "parts": np.array([1, 7]),
    }  # fmt: skip
    compare(write(tmp_path / "x.onnx", nodes, constants), random(0, 2, 4, 13, 10))


@pytest.mark.parametrize("options", [{}, {"variables": True}])
def test_lite_equals_onnx_runtime(options: dict[str, Any]) -> None:
    for size in ((1, 64, 96), (2, 144, 80)):
        batch, *sides = size
        pictures = random(1, batch, 3, *sides), random(2, batch, 4, *sides)
        compare(EMBEDDED / "lite.coarse.onnx", *pictures, **options)
    compare(EMBEDDED / "lite.refiner.onnx", random(3, 3, 30, 22, 30), random(4, 3, 6, 36, 52), **options)


def test_weights_in_half_precision() -> None:
    pictures = random(1, 1, 3, 64, 96), random(2, 1, 4, 64, 96)
    compare(EMBEDDED / "lite.coarse.onnx", *pictures, atol=1e-2, half=True)
    with pytest.raises(AssertionError):
        compare(EMBEDDED / "lite.coarse.onnx", *pictures, half=True)
    graph = TensorFlowGraph(EMBEDDED / "lite.refiner.onnx", half=True, variables=True)
    assert {weight.dtype for weight in graph.weights} == {tf.float16}


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "kernel"), [("mobilenetv2", 1), ("resnet50", 3)])
def test_bgmv2_equals_onnx_runtime(backbone: str, kernel: int, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    import dataclasses

    from cleanplate.export.onnx_export import export_onnx
    from cleanplate.models.network_builder import build_network
    from cleanplate.models.official import bgmv2_config

    torch.manual_seed(0)
    config = dataclasses.replace(bgmv2_config(backbone), refiner_kernel=kernel)
    coarse, refiner = export_onnx(build_network(config).eval(), config, tmp_path / backbone)
    assert refiner is not None
    compare(coarse, random(1, 2, 3, 67, 101), random(2, 2, 3, 67, 101))
    around = (12, 8) if kernel == 3 else (6, 12)
    compare(
        refiner,
        random(3, 2, 42, *around),
        random(4, 2, 6, *(2 * (n - (4 if kernel == 3 else 0)) for n in around)),
    )


def test_all_sizes_are_one_trace() -> None:
    graph = TensorFlowGraph(EMBEDDED / "lite.refiner.onnx")
    function = tf.function(graph, input_signature=graph.inputs, autograph=False)
    channels = graph.inputs[0].shape[-1]
    for side in (14, 22, 38):
        function(random(0, 1, side, side, channels), random(0, 1, 2 * side - 8, 2 * side - 8, 6))
    assert function.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("node", "match"),
    [
        (helper.make_node("Erf", ["x"], ["y"]), "Erf"),
        (helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear"), r"scales = .*1\.5"),
        (helper.make_node("Resize", ["x", "", "t"], ["y"], mode="cubic"), "mode = cubic"),
        (helper.make_node("Conv", ["x", "k"], ["y"], group=2), "group = 2"),
        (helper.make_node("Clip", ["x", "m", "m"], ["y"]), "a bound of Clip is computed"),
    ],
)
def test_an_error_names_an_unknown_operator(node: Any, match: str, tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["m"]), node]
    constants = {
        "s": np.array([1, 1, 1.5, 1.5], np.float32), "t": np.array([1, 1, 2, 2], np.float32),
        "k": random(0, 4, 2, 1, 1),
    }  # fmt: skip
    used = {name: value for name, value in constants.items() if name in node.input}
    path = write(tmp_path / "x.onnx", nodes, used)
    with pytest.raises(ModelError, match=match):
        tf.function(lambda x: TensorFlowGraph(path)(x), autograph=False)(random(0, 1, 8, 8, 4))


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "missing"])
def test_an_error_names_a_damaged_file(damage: str, tmp_path: Path) -> None:
    good = (EMBEDDED / "lite.refiner.onnx").read_bytes()
    bad = tmp_path / "bad.onnx"
    if damage != "missing":
        bad.write_bytes({"cut": good[: len(good) // 2], "noise": b"\x93" * 5000, "empty": b""}[damage])
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        TensorFlowGraph(bad)
