"""OpenVINO export: coarse network and refiner, each an ``.xml`` with a ``.bin`` beside it."""

from __future__ import annotations

from pathlib import Path

import openvino

from cleanplate.export.export_options import Exported, ExportOptions
from cleanplate.export.parts import Network as ExportedNetwork
from cleanplate.export.two_parts import Shape, convert_parts, fix_shapes, key_in_parts
from cleanplate.frame import Float32Array
from cleanplate.models.config import ModelConfig
from cleanplate.models.records import METADATA_KEY
from cleanplate.models.registry import Model
from cleanplate.runtimes.openvino_runtime import Network


def export_openvino(model: Model, path: Path, options: ExportOptions) -> Exported:
    """Write ``x.coarse.xml``, ``x.refiner.xml`` and a ``.bin`` beside each.

    Names and shapes are those of the ONNX files: float32, (batch, channels, height, width) of any size. With
    ``options.size`` the shapes are fixed, as NPUs require: one picture, padded to the model's multiple, and a
    refiner for the whole picture at once, with its halo. The model's record is in ``rt_info``.

    With ``options.half`` the weights are stored as float16.

    Raises:
        ModelError: The model has no weights.
    """
    shapes = fix_shapes(model.config, options.size)
    coarse_path, refiner_path = convert_parts(
        model, path, lambda onnx, written: _write(onnx, written, shapes, model.config, options.half)
    )
    coarse = _open(coarse_path, {"source": 3, "plate": model.config.plate_channels})
    refiner = None
    if refiner_path is not None:
        refiner = _open(refiner_path, {"half": model.config.hidden_channels + 10, "full": 6})
    written = [file for file in (coarse_path, refiner_path) if file is not None]
    return Exported(
        [file for xml in written for file in (xml, xml.with_suffix(".bin"))],
        key_in_parts(model, coarse, refiner, "openvino", fixed=options.size is not None),
        "float16" if options.half else "float32",
    )


def _write(onnx: Path, path: Path, shapes: dict[str, Shape], config: ModelConfig, half: bool) -> None:
    network = openvino.Core().read_model(onnx)
    if shapes:
        network.reshape({entry: list(shapes[entry.any_name]) for entry in network.inputs})
    network.set_rt_info(config.to_json(), [METADATA_KEY])
    openvino.save_model(network, path, compress_to_fp16=half)


def _open(path: Path, channels: dict[str, int]) -> ExportedNetwork:
    """A network on disk; it is opened at the first call."""
    opened: list[Network] = []

    def call(*pictures: Float32Array) -> tuple[Float32Array, ...]:
        if not opened:
            opened.append(Network(path, "cpu", channels))
        return tuple(opened[0](*pictures))

    return call
