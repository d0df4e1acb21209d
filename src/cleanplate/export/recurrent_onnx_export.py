"""ONNX export of a model without a plate: one file from frame and state to matte and next state."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from cleanplate.errors import MissingExtraError, ModelError
from cleanplate.export.inference_form import arrange_for_inference
from cleanplate.export.onnx_graph import TOLERANCE, trace_onnx, write_model
from cleanplate.models.config import ModelConfig
from cleanplate.models.networks.rvm import RecurrentNetwork, State, shrink
from cleanplate.runtimes.recurrent_onnx_runtime import INPUTS, OUTPUTS, STATE_INPUTS
from cleanplate.system.temporary_files import make_folder

if TYPE_CHECKING:
    import onnx

TRACED = (91, 135, 0.5)
CHECKED = (TRACED, (64, 101, 0.4))
"""Heights, widths and ratios of the parity check; the first one is traced."""


class _RecurrentStep(nn.Module):
    """One step of the graph, from the frame and its small picture to the large and the small matte."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, source: Tensor, small: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        network = cast(RecurrentNetwork, self.network)
        hidden, after = network.decode(small[:, None], cast("State", state))
        matte = network.project_mat(hidden[:, 0])
        enlarged = network.refiner(source, small, matte, hidden[:, 0])
        colour = (source + enlarged[:, :3]).clamp(0, 1)
        return colour, enlarged[:, 3:].clamp(0, 1), matte, *after


def export_recurrent_onnx(network: nn.Module, config: ModelConfig, prefix: Path) -> Path:
    """Write ``prefix.recurrent.onnx``.

    Names and meaning are those of RVM's own ONNX files: ``src`` (1, 3, h, w) in [0, 1], the states ``r1i`` to
    ``r4i`` and ``downsample_ratio`` (1,) give ``fgr``, ``pha`` and ``r1o`` to ``r4o``. Height and width are
    free. The first states are zeros of their full size, (1, channels, h', w') with h' and w' halved and
    rounded up once per scale. ``small``, foreground residual and alpha before the guided filter, is the
    result at a ratio of 1.

    Args:
        network: A :class:`cleanplate.models.networks.rvm.RecurrentNetwork`; it is not changed.
        config: Record of the network.
        prefix: Path without suffix.

    Raises:
        ModelError: Results of ONNX Runtime differ from PyTorch by more than ``TOLERANCE``.
        OutputError: The file cannot be written.
        MissingExtraError: ``onnx`` or ``onnxscript`` is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("export", "Writing ONNX") from None
    make_folder(prefix.parent)
    path = prefix.with_name(prefix.name + ".recurrent.onnx")
    reference = _RecurrentStep(copy.deepcopy(network).cpu().eval()).requires_grad_(False)
    model = _convert(_RecurrentStep(arrange_for_inference(reference.network)).requires_grad_(False))
    _shrink_inside(model)
    for height, width, ratio in CHECKED:
        _compare(model, reference, height, width, ratio, f"'{config.name}'")
    write_model(model, config, path)
    return path


def _convert(step: _RecurrentStep) -> onnx.ModelProto:
    height, width, ratio = TRACED
    inputs = _inputs(step, height, width, ratio)
    free: Any = torch.export.Dim.DYNAMIC
    sides = {2: free, 3: free}
    shapes = (sides, sides, (sides,) * len(STATE_INPUTS))
    return trace_onnx(step, inputs, shapes, ["src", "small_src", *STATE_INPUTS], OUTPUTS)


def _inputs(step: _RecurrentStep, height: int, width: int, ratio: float) -> tuple[Tensor, ...]:
    """Make a random frame, its small picture, and the state after another frame."""
    network = cast(RecurrentNetwork, step.network)
    generator = torch.Generator().manual_seed(height)
    source, before = (torch.rand(1, 3, height, width, generator=generator) for _ in range(2))
    small = shrink(source[:, None], ratio)[:, 0]
    with torch.no_grad():
        _, state = network.decode(shrink(before[:, None], ratio))
    return source, small, *state


def _shrink_inside(model: onnx.ModelProto) -> None:
    """Replace the input ``small_src`` by a Resize, so that the ratio is an input of the file."""
    from onnx import TensorProto, helper

    graph = model.graph
    ratio = helper.make_tensor_value_info("downsample_ratio", TensorProto.FLOAT, [1])
    kept = [entry for entry in graph.input if entry.name != "small_src"]
    del graph.input[:]
    graph.input.extend([*kept, ratio])
    graph.initializer.append(helper.make_tensor("unscaled", TensorProto.FLOAT, [2], [1.0, 1.0]))
    first = [
        helper.make_node("Concat", ["unscaled", ratio.name, ratio.name], ["scales"], axis=0),
        helper.make_node(
            "Resize",
            ["src", "", "scales"],
            ["small_src"],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        ),
    ]
    nodes = [*first, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _compare(
    model: onnx.ModelProto, step: _RecurrentStep, height: int, width: int, ratio: float, what: str
) -> None:
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    source, small, *state = _inputs(step, height, width, ratio)
    with torch.no_grad():
        expected = step(source, small, *state)
    values = [*(tensor.numpy() for tensor in (source, *state)), np.array([ratio], np.float32)]
    found = session.run(OUTPUTS, dict(zip(INPUTS, values, strict=True)))
    for name, reference, array in zip(OUTPUTS, expected, found, strict=True):
        target = reference.numpy()
        largest = max(1.0, float(np.abs(target).max()))
        difference = float(np.abs(array - target).max()) if array.shape == target.shape else np.inf
        # Negated, so that a NaN fails, too.
        if not difference <= TOLERANCE * largest:
            raise ModelError(f"{what} differs in ONNX Runtime: {name} by {difference:.1e} at {target.shape}.")
