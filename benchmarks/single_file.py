"""A single ONNX file compared with the two files of the model, 1920x1080, in one process.

    python benchmarks/single_file.py [--model lite|mobilenetv2 --rounds 15 --threads 1]

Both get the same pair each time and do equal work: shrink both pictures, look at the whole of them,
refine. The weights of ``mobilenetv2`` are random. Rounds alternate, so that other load on the machine affects
both; the least times count, of the wall and of the processor. ``keyer`` is cleanplate's keyer with the two
files: it keeps the plate from frame to frame, and lite keys only the region that may have changed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cleanplate import Keyer
from cleanplate.export.export_options import ExportOptions
from cleanplate.export.onnx_export import export_onnx_files
from cleanplate.media.stills.image_reader import read_image
from cleanplate.models.load import save_model
from cleanplate.models.network_builder import build_network
from cleanplate.models.official import bgmv2_config
from cleanplate.models.registry import Model, find_model
from cleanplate.router.layout import lay_out

import onnxruntime  # isort: skip  # after cleanplate, which switches its telemetry off
from cleanplate.plate import Fit, FittedPlate
from cleanplate.runtimes.onnx_runtime import OnnxRuntime

SAMPLES = Path(__file__).parent.parent / "samples"
SIZE = 1080, 1920


def main() -> None:
    arguments = parse_arguments()
    source, plate = (read_image(SAMPLES / name).pixels for name in ("photo.jpg", "plate.jpg"))
    fitted = FittedPlate(plate, None, Fit.unmoved())
    with tempfile.TemporaryDirectory() as folder:
        model = prepare(arguments.model, Path(folder))
        size = SIZE if arguments.fixed else None
        options = ExportOptions(size=size, single_file=True)
        (path,) = export_onnx_files(model, Path(folder) / "single.onnx", options).paths
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        keyer = Keyer(fitted, model=model, runtime="onnx", device="cpu", threads=arguments.threads)
        runtime = OnnxRuntime(model, "cpu", arguments.threads)
    src, bgr = (to_floats(pixels) for pixels in (source, plate))
    programs: dict[str, Callable[[], Any]] = {
        "single_file": lambda: session.run(["pha", "fgr"], {"src": src, "bgr": bgr}),
        "two_files": lambda: key(runtime, source, plate),
        "keyer": lambda: keyer(source),
    }
    difference = np.abs(programs["single_file"]()[0][0, 0] - programs["two_files"]())
    least = measure(programs, arguments.rounds)
    report = {
        "least_ms": {clock: {k: round(1000 * v, 1) for k, v in row.items()} for clock, row in least.items()},
        "single_over_two": {c: round(row["single_file"] / row["two_files"], 2) for c, row in least.items()},
        "single_over_keyer": {c: round(row["single_file"] / row["keyer"], 2) for c, row in least.items()},
        # The two files get 8-bit pictures, also the small ones.
        "alpha_difference_mean": float(difference.mean()),
        "model": arguments.model,
        "threads": arguments.threads,
        "size": "fixed" if arguments.fixed else "any",
    }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", choices=("lite", "mobilenetv2"), default="lite")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fixed", action="store_true", help="export for this size only")
    return parser.parse_args()


def prepare(name: str, folder: Path) -> Model:
    """Prepare a model with weights and its two files."""
    model = find_model("lite")
    if name != "lite":
        config = bgmv2_config(name)
        torch.manual_seed(0)
        network: Any = build_network(config)
        # An error above 0 nearly everywhere, so that all pixels get sampled.
        network.decoder.conv4.bias.data[4] = 0.5
        save_model(network.eval(), config, folder / f"{name}.safetensors")
        model = find_model(folder / f"{name}.safetensors")
    coarse, refiner = export_onnx_files(
        model, Path(tempfile.mkdtemp(dir=folder)) / "two.onnx", ExportOptions()
    ).paths
    return dataclasses.replace(model, coarse_onnx=coarse, refiner_onnx=refiner)


def key(runtime: OnnxRuntime, source: Any, plate: Any) -> Any:
    """Compute alpha of a new pair by two files and the router."""
    config, router = runtime.model.config, runtime.router
    layout = lay_out(config, *source.shape[:2])
    source, plate = layout.padding.pad(source), layout.padding.pad(plate)
    picture, background = router.upload(source), router.upload(plate)
    shrink: Any = config.shrink
    small, small_plate = (router.shrink(x, layout.coarse_size, shrink) for x in (picture, background))
    if config.plate_channels == 4:
        small_plate = np.concatenate([small_plate, np.ones_like(small_plate[:, :1])], 1)
    coarse = runtime.coarse(small, small_plate)
    kernel = config.refiner_kernel or 3
    alpha, _ = router.refine(picture, background, coarse, layout.refine, runtime.refine, kernel)
    return layout.padding.crop(alpha[0])


def to_floats(pixels: Any) -> Any:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def measure(programs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Run the programs in turn; returns the least wall and processor seconds of each."""
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    least = {clock: dict.fromkeys(programs, float("inf")) for clock in clocks}
    for _ in range(rounds):
        for name, program in programs.items():
            began = {clock: tell() for clock, tell in clocks.items()}
            program()
            for clock, tell in clocks.items():
                least[clock][name] = min(least[clock][name], tell() - began[clock])
    return least


if __name__ == "__main__":
    main()
