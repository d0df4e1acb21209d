"""Joins the coarse network, the refiner and the router into one ONNX graph ``src, bgr -> pha, fgr``.

The networks' existing ONNX graphs are used; the parts of :class:`cleanplate.export.single_file.SingleFile`
between them are traced one by one. In one piece, the symbolic sizes of each convolution would be nested
formulas, which take the exporter minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cleanplate.export.onnx_graph import OPSET, trace_onnx
from cleanplate.export.single_file import CELL, TILE, SingleFile
from cleanplate.models.config import ModelConfig
from cleanplate.router import Refine

if TYPE_CHECKING:
    import onnx

SAMPLE_SIZE = 189, 141
"""Size of the picture with which graphs of free size are traced. It needs padding, so that the exporter
keeps the sizes of the picture and of the padded picture apart."""

_FREE: Any = torch.export.Dim.AUTO
_PICTURE = {0: _FREE, 2: _FREE, 3: _FREE}
_LIST = {0: _FREE}
_BLOCKS = {0: _FREE, 1: _FREE, 2: _FREE}


@dataclass(frozen=True)
class _GraphPart:
    """One graph of the chain.

    Attributes:
        model: The graph.
        inputs: Name of the chain's value for each of its inputs.
        outputs: Name of the chain's value for each of its outputs.
    """

    model: onnx.ModelProto
    inputs: dict[str, str]
    outputs: dict[str, str]


class _RouterStep(nn.Module):
    """A function as a module, as the exporter requires."""

    def __init__(self, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.function(*tensors)


def chain_networks(
    coarse: onnx.ModelProto,
    refiner: onnx.ModelProto | None,
    config: ModelConfig,
    size: tuple[int, int] | None,
    scale: float,
    refine: Refine,
) -> onnx.ModelProto:
    """Make the single graph.

    Args:
        coarse: The coarse network from :func:`cleanplate.export.onnx_export.export_onnx`.
        refiner: The refiner from the same function; None for a model without a refiner.
        config: The model's record.
        size: Height and width of the pictures, one at a time; None: any size, in batches.
        scale: Coarse input over picture.
        refine: Rule that selects the cells.
    """
    router = SingleFile(nn.Identity(), None if refiner is None else nn.Identity(), config, scale, refine)
    maps = ["alpha", "residual", "error", "hidden"]
    trace = _Tracer(router, size, config)
    parts = [
        trace.prepare(),
        _GraphPart(
            coarse,
            {"source": "small", "plate": "small_plate"},
            {name: name for name in maps},
        ),
    ]
    run_refiner = (
        []
        if refiner is None
        else [_GraphPart(refiner, {"half": "half", "full": "full"}, {"refined": "refined"})]
    )
    if router.refine_mode == "off":
        parts.append(trace.enlarge())
    elif router.refine_mode == "full":
        parts += [trace.surround(), *run_refiner, trace.finish()]
    else:
        parts += [trace.cut(), *run_refiner, trace.paste()]
    return _chain(parts, size)


class _Tracer:
    """Traces the router's parts."""

    def __init__(self, router: SingleFile, size: tuple[int, int] | None, config: ModelConfig) -> None:
        self._router = router
        self._is_free = size is None
        self._batch = 2 if size is None else 1
        height, width = size or SAMPLE_SIZE
        padded = [side + router.missing(side) for side in (height, width)]
        small = [side * 2 // router.halves() if router.averages else router.scaled(side) for side in padded]
        coarse = [side // config.coarse_output_stride for side in small]
        blocks = [-(-side // TILE) for side in padded]
        count = 3
        step = TILE // CELL
        # Examples of the chain's values, for tracing.
        shapes = {
            "src": (3, height, width),
            "bgr": (3, height, width),
            "source": (3, *padded),
            "plate": (3, *padded),
            "alpha": (1, *coarse),
            "residual": (3, *coarse),
            "error": (1, *coarse),
            "hidden": (config.hidden_channels, *coarse),
        }
        self._samples = {name: torch.rand(self._batch, *shape) for name, shape in shapes.items()}
        self._samples["blocks"] = torch.zeros(self._batch, *blocks, step, step, dtype=torch.bool)
        self._samples["tiles"] = torch.zeros(count, 3, dtype=torch.int64)
        whole = (self._batch, 4, *padded)
        self._samples["refined"] = torch.rand(
            whole if router.refine_mode == "full" else (count, 4, TILE, TILE)
        )

    def prepare(self) -> _GraphPart:
        return self._trace(self._router.prepare, ["src", "bgr"], ["source", "plate", "small", "small_plate"])

    def enlarge(self) -> _GraphPart:
        return self._trace(self._router.enlarge, ["src", "alpha", "residual"], ["pha", "fgr"])

    def surround(self) -> _GraphPart:
        inputs = ["source", "plate", "alpha", "residual", "hidden"]
        return self._trace(self._router.surround, inputs, ["half", "full"])

    def finish(self) -> _GraphPart:
        return self._trace(self._router.finish, ["src", "refined"], ["pha", "fgr"])

    def cut(self) -> _GraphPart:
        router = self._router

        def cut(
            source: Tensor, plate: Tensor, alpha: Tensor, residual: Tensor, error: Tensor, hidden: Tensor
        ) -> tuple[Tensor, ...]:
            blocks = router.select(error, source.shape[2], source.shape[3])
            return blocks, *router.cut(source, plate, alpha, residual, hidden, blocks)

        inputs = ["source", "plate", "alpha", "residual", "error", "hidden"]
        return self._trace(cut, inputs, ["blocks", "tiles", "half", "full"])

    def paste(self) -> _GraphPart:
        inputs = ["src", "alpha", "residual", "blocks", "tiles", "refined"]
        return self._trace(self._router.paste, inputs, ["pha", "fgr"])

    def _trace(
        self, function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[str], outputs: Sequence[str]
    ) -> _GraphPart:
        samples = tuple(self._samples[name] for name in inputs)
        free = tuple(self._free_axes(name) for name in inputs)
        graph = trace_onnx(_RouterStep(function).eval(), samples, (free,), inputs, outputs)
        names = {name: name for name in (*inputs, *outputs)}
        return _GraphPart(graph, names, names)

    def _free_axes(self, name: str) -> dict[int, Any]:
        """List the axes of a value that have no fixed size."""
        if name == "tiles" or (name == "refined" and self._router.refine_mode != "full"):
            return _LIST
        if not self._is_free:
            return {}
        if name == "blocks":
            return _BLOCKS
        if name in ("source", "plate"):
            rows, columns = (torch.export.Dim(axis, min=2, max=1 << 14) for axis in ("rows", "columns"))
            return {0: _FREE, 2: CELL * rows, 3: CELL * columns}
        return _PICTURE


def _chain(parts: Sequence[_GraphPart], size: tuple[int, int] | None) -> onnx.ModelProto:
    """Join graphs in sequence; their internal values get a prefix."""
    from onnx import TensorProto, helper

    nodes, initializers = [], []
    for number, part in enumerate(parts):
        graph = part.model.graph
        shared = {**part.inputs, **part.outputs}

        def rename(name: str, shared: dict[str, str] = shared, number: int = number) -> str:
            return shared.get(name, f"{number}.{name}") if name else name

        for node in graph.node:
            copy = type(node)()
            copy.CopyFrom(node)
            copy.name = f"{number}.{node.name}" if node.name else ""
            copy.input[:] = [rename(name) for name in node.input]
            copy.output[:] = [rename(name) for name in node.output]
            nodes.append(copy)
        for tensor in graph.initializer:
            kept = type(tensor)()
            kept.CopyFrom(tensor)
            kept.name = rename(tensor.name)
            initializers.append(kept)
    axes: list[Any] = ["batch", "height", "width"] if size is None else [1, *size]
    inputs, outputs = (
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [axes[0], channels, *axes[1:]])
            for name, channels in values
        ]
        for values in ((("src", 3), ("bgr", 3)), (("pha", 1), ("fgr", 3)))
    )
    graph = helper.make_graph(nodes, "cleanplate", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = parts[0].model.ir_version
    return model
