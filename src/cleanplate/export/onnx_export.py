"""ONNX export: two files, coarse network and refiner, or one file with the router between them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from cleanplate.errors import MissingExtraError, ModelError
from cleanplate.export.export_options import Exported, ExportOptions, KeyPair
from cleanplate.export.inference_form import arrange_for_inference
from cleanplate.export.onnx_graph import TOLERANCE, trace_onnx, write_model
from cleanplate.export.parity import key_first_frame, key_with
from cleanplate.export.quantisation import describe_int8, quantise_files
from cleanplate.export.recurrent_onnx_export import export_recurrent_onnx
from cleanplate.export.single_file import plan_single
from cleanplate.export.single_onnx import chain_networks
from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.config import ModelConfig
from cleanplate.models.load import load_network
from cleanplate.models.network_builder import TwoPartNetwork
from cleanplate.models.registry import Model
from cleanplate.router import Refine
from cleanplate.router.layout import lay_out
from cleanplate.runtimes.onnx_runtime import OnnxRuntime
from cleanplate.runtimes.recurrent_onnx_runtime import RecurrentOnnx
from cleanplate.system.temporary_files import make_folder

if TYPE_CHECKING:
    import onnx

HALF_TOLERANCE = 2e-2
"""Tolerance with weights rounded to float16; larger, because the noise of the check is the hardest input."""

COARSE_INPUTS = ("source", "plate")
COARSE_OUTPUTS = ("alpha", "residual", "error", "hidden")
REFINER_INPUTS = ("half", "full")
REFINER_OUTPUTS = ("refined",)

COARSE_SIZES = ((2, 95, 143), (1, 128, 64))
REFINER_SIZES = ((3, 20, 32), (1, 36, 36))
"""``(batch, height, width)`` of the pictures and tiles of the parity check; the first one is traced."""


def export_onnx_files(model: Model, path: Path, options: ExportOptions) -> Exported:
    """Write a model as ONNX.

    Two files by default, ``NAME.coarse.onnx`` and ``NAME.refiner.onnx`` for a path ``NAME.onnx``; see
    :func:`export_onnx`. A size then fixes the coarse network's input, while the refiner's tiles stay free. A
    single file is ``NAME.onnx``: float ``src`` and ``bgr`` (B, 3, H, W) in [0, 1] to ``pha`` (B, 1, H, W) and
    ``fgr`` (B, 3, H, W). A model without a plate becomes ``NAME.recurrent.onnx``.

    Args:
        model: A model with weights for PyTorch.
        path: Path with the suffix ``.onnx``.
        options: ``half`` stores weights as float16 and computes in float32; ``calibrate`` makes convolutions
            int8, and the record's name says so.

    Raises:
        OptionError: A scale that a single file of this model cannot have.
        ModelError: The results of ONNX Runtime differ from those of PyTorch.
        OutputError: A file cannot be written.
        MissingExtraError: ``onnx`` or ``onnxscript`` is not installed.
    """
    config, network, prefix = model.config, load_network(model), path.with_suffix("")
    if not config.needs_plate:
        recurrent = export_recurrent_onnx(network, config, prefix)
        return Exported([recurrent], _key_recurrent(Model(config, recurrent_onnx=recurrent)))
    precision: Any = "float16" if options.half else "float32"
    # Refused before the networks are traced, which takes a minute.
    single = plan_single(config, options) if options.single_file else None
    coarse, refiner = export_onnx(network, config, prefix, half=options.half)
    if single is not None:
        scale, refine, multiple = single
        _write_single(coarse, refiner, config, path, options.size, scale, refine)
        return Exported([path], _key_whole(path), precision, refine, scale, multiple=multiple)
    paths = [coarse] if refiner is None else [coarse, refiner]
    if options.calibrate is not None:
        config, precision = describe_int8(config), "int8"
        quantise_files(paths, config, options.calibrate)
    if options.size is not None:
        _fix_size(coarse, config, lay_out(config, *options.size).coarse_size)
    return Exported(paths, _key_two(Model(config, coarse, refiner)), precision)


def _write_single(
    coarse: Path,
    refiner: Path | None,
    config: ModelConfig,
    path: Path,
    size: tuple[int, int] | None,
    scale: float,
    refine: Refine,
) -> None:
    """Join the two files to a single one, and remove them."""
    import onnx

    networks = [onnx.load(part) for part in (coarse, refiner) if part is not None]
    single = chain_networks(networks[0], networks[1] if refiner else None, config, size, scale, refine)
    write_model(single, config, path)
    for part in (coarse, refiner):
        if part is not None:
            part.unlink()


def _fix_size(path: Path, config: ModelConfig, size: tuple[int, int]) -> None:
    """Restrict the coarse network to one picture of one size."""
    import onnx

    model = onnx.load(path)
    maps = [side // config.coarse_output_stride for side in size]
    for values, sides in ((model.graph.input, size), (model.graph.output, maps)):
        for value in values:
            axes = value.type.tensor_type.shape.dim
            for axis, extent in zip((axes[0], axes[2], axes[3]), (1, *sides), strict=True):
                axis.dim_value = extent
    del model.graph.value_info[:]
    path.write_bytes(model.SerializeToString(deterministic=True))


def _key_two(model: Model) -> KeyPair:
    return lambda source, plate: key_with(OnnxRuntime(model), source, plate, None, Refine("full"))


def _key_recurrent(model: Model) -> KeyPair:
    return lambda source, _: key_first_frame(RecurrentOnnx(model), source, None)


def _key_whole(path: Path) -> KeyPair:
    """Run a single file like any user of it."""
    import onnxruntime  # type: ignore[import-untyped]

    def key(source: Pixels, plate: Pixels) -> tuple[Float32Array, Float32Array]:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        src, bgr = (
            np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
            for pixels in (source, plate)
        )
        pha, fgr = session.run(("pha", "fgr"), {"src": src, "bgr": bgr})
        return pha[0, 0], fgr[0].transpose(1, 2, 0)

    return key


class CoarsePart(nn.Module):
    """The coarse network as a module from two tensors to four."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, source: Tensor, plate: Tensor) -> tuple[Tensor, ...]:
        return tuple(cast(TwoPartNetwork, self.network).coarse(source, plate))


def export_onnx(
    network: nn.Module, config: ModelConfig, prefix: Path, *, half: bool = False
) -> tuple[Path, Path | None]:
    """Write ``prefix.coarse.onnx`` and ``prefix.refiner.onnx``.

    Batch, height and width are free, all tensors are float32. The coarse network takes ``source`` (n, 3, h,
    w) and ``plate`` (n, ``config.plate_channels``, h, w) and gives ``alpha``, ``residual``, ``error`` and
    ``hidden``; the refiner takes ``half`` and ``full`` and gives ``refined``. The model's record is in the
    metadata. Equal networks give equal bytes.

    Args:
        network: A network of ``cleanplate.models.network_builder``; it is not changed.
        config: Record of the network.
        prefix: Path without suffix.
        half: Store the weights of convolutions as float16. They are converted to float32 when the file is
            loaded; inputs, outputs and arithmetic stay float32.

    Returns:
        Both paths; the refiner's is None if the network has no refiner.

    Raises:
        ModelError: Results of ONNX Runtime differ from PyTorch by more than ``TOLERANCE``, or with weights
            rounded to float16 by more than ``HALF_TOLERANCE``.
        OutputError: A file cannot be written.
        MissingExtraError: ``onnx`` or ``onnxscript`` is not installed.
    """
    make_folder(prefix.parent)
    reference = copy.deepcopy(network).cpu().eval()
    arranged = arrange_for_inference(reference).requires_grad_(False)
    refiner = cast(TwoPartNetwork, reference).refiner
    coarse_path = prefix.with_name(prefix.name + ".coarse.onnx")
    pairs = [coarse_inputs(config, *size, seed=seed) for seed, size in enumerate(COARSE_SIZES)]
    what = f"The coarse network of '{config.name}'"
    model = _convert(CoarsePart(arranged), pairs[0], COARSE_INPUTS, COARSE_OUTPUTS, config.size_multiple)
    _compare(model, CoarsePart(reference), pairs, what)
    if half:
        _store_half(model)
        _compare(model, CoarsePart(reference), pairs, what, HALF_TOLERANCE)
    write_model(model, config, coarse_path)
    if refiner is None:
        return coarse_path, None
    refiner_path = prefix.with_name(prefix.name + ".refiner.onnx")
    pairs = [refiner_inputs(config, *size, seed=seed) for seed, size in enumerate(REFINER_SIZES)]
    arranged_refiner = cast(nn.Module, cast(TwoPartNetwork, arranged).refiner)
    model = _convert(arranged_refiner, pairs[0], REFINER_INPUTS, REFINER_OUTPUTS, 1)
    _compare(model, refiner, pairs, f"The refiner of '{config.name}'")
    if half:
        _store_half(model)
        _compare(model, refiner, pairs, f"The refiner of '{config.name}'", HALF_TOLERANCE)
    write_model(model, config, refiner_path)
    return coarse_path, refiner_path


def coarse_inputs(
    config: ModelConfig, batch: int, height: int, width: int, *, seed: int
) -> tuple[Tensor, Tensor]:
    """Make random source and plate of ``height`` x ``width``, rounded up to the network's multiple."""
    generator = torch.Generator().manual_seed(seed)
    multiple = config.size_multiple
    size = (batch, -(-height // multiple) * multiple, -(-width // multiple) * multiple)
    source, plate = (torch.rand(size[0], 3, *size[1:], generator=generator) for _ in range(2))
    if config.plate_channels == 4:
        valid = (torch.rand(size[0], 1, *size[1:], generator=generator) > 0.2).float()
        plate = torch.cat([plate, valid], dim=1)
    return source, plate


def refiner_inputs(
    config: ModelConfig, batch: int, height: int, width: int, *, seed: int
) -> tuple[Tensor, Tensor]:
    """Make random windows for ``batch`` tiles of ``height`` x ``width`` pixels, both even."""
    generator = torch.Generator().manual_seed(seed)
    around_half, around_full = (6, 4) if config.refiner_kernel == 3 else (0, 0)
    half = (batch, config.hidden_channels + 10, height // 2 + around_half, width // 2 + around_half)
    full = (batch, 6, height + around_full, width + around_full)
    return torch.rand(half, generator=generator), torch.rand(full, generator=generator)


def _convert(
    module: nn.Module,
    inputs: tuple[Tensor, Tensor],
    input_names: Sequence[str],
    output_names: Sequence[str],
    multiple: int,
) -> onnx.ModelProto:
    """Trace with free batch, height and width; both sides stay multiples of ``multiple``."""
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("export", "Writing ONNX") from None

    free: Any = torch.export.Dim.DYNAMIC
    sides = [free, free]
    if multiple > 1:
        sides = [multiple * torch.export.Dim(name, min=2, max=1024) for name in ("rows", "columns")]
    shapes = {0: free, 2: sides[0], 3: sides[1]}
    return trace_onnx(module.eval(), inputs, (shapes, shapes), input_names, output_names)


def _store_half(model: onnx.ModelProto) -> None:
    """Store each convolution's weights as float16 with a Cast behind them; loading folds it into float32."""
    import onnx

    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 4:
            continue
        name, array = tensor.name, onnx.numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(array).all():
            raise ModelError(f"The weights {name} are too large for half precision.")
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _compare(
    model: onnx.ModelProto,
    module: nn.Module,
    inputs: list[tuple[Tensor, Tensor]],
    what: str,
    tolerance: float = TOLERANCE,
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [argument.name for argument in session.get_inputs()]
    for pair in inputs:
        with torch.no_grad():
            outcome = module(*pair)
        expected = outcome if isinstance(outcome, tuple) else (outcome,)
        feed = {name: tensor.numpy() for name, tensor in zip(names, pair, strict=True)}
        for name, reference, array in zip(
            [output.name for output in session.get_outputs()], expected, session.run(None, feed), strict=True
        ):
            target = reference.numpy()
            largest = max(1.0, float(np.abs(target).max()))
            difference = float(np.abs(array - target).max()) if array.shape == target.shape else np.inf
            # Negated, so that a NaN fails, too.
            if not difference <= tolerance * largest:
                raise ModelError(
                    f"{what} differs in ONNX Runtime: {name} by {difference:.1e} at {target.shape}."
                )
