"""The official BGMv2 code compared with this package: same machine, run, weights and pictures.

    git clone https://github.com/PeterL1n/BackgroundMattingV2
    python benchmarks/versus_official.py --official BackgroundMattingV2 [--checkpoint pytorch_mobilenetv2.pth]

MobileNetV2 at 1920x1080, scale 1/4, 80,000 sampled pixels, float32 on the CPU. The official code takes and
returns float tensors; this package starts from 8-bit pixels and ends with them, like its users, and its time
includes that. Without a checkpoint the weights are random. Runs alternate, so that other load on the machine
affects both; with much other load, compare the least times, or those of the processor with one thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torchvision_stand_in import torchvision_or_stand_in

from cleanplate.export.onnx_export import export_onnx
from cleanplate.keyer.keyer import Keyer
from cleanplate.models.load import load_network
from cleanplate.models.registry import Model, find_model
from cleanplate.plate import Fit, FittedPlate

SAMPLES = Path(__file__).parent.parent / "samples"
SCALE, PIXELS = 0.25, 80_000


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    source, plate = (read(SAMPLES / name) for name in ("photo.jpg", "plate.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        official, model = prepare(arguments.official, arguments.checkpoint, Path(folder))
        keyer = Keyer(
            FittedPlate(plate, None, Fit.unmoved()),
            model=model,
            runtime="onnx",
            device="cpu",
            scale=SCALE,
            refine=f"sampling:{PIXELS}",
            threads=arguments.threads,
        )
        pictures = to_tensor(source), to_tensor(plate)
        with torch.inference_mode():
            alpha, foreground, _, _, _, refined = official(*pictures)
            matte = keyer(source)
            times = measure([lambda: official(*pictures), lambda: keyer(source)], arguments.runs)
        stages = keyer.timings
    expected = foreground[0].permute(1, 2, 0).numpy() * 255
    report = {
        **compare("median_ms", times["wall"], statistics.median),
        **compare("least_ms", times["wall"], min),
        **compare("least_processor_ms", times["processor"], min),
        "alpha_difference_max": float(np.abs(alpha[0, 0].numpy() - matte.alpha).max()),
        "alpha_difference_mean": float(np.abs(alpha[0, 0].numpy() - matte.alpha).mean()),
        "foreground_difference_max": float(np.abs(expected - matte.foreground).max()),
        "refined_pixels": 16 * int(refined.sum()),
        "stages_ms": {name: round(1000 * value, 2) for name, value in stages.items()},
        "threads": arguments.threads,
        "weights": str(arguments.checkpoint or "random"),
    }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--official", type=Path, required=True, help="clone of BackgroundMattingV2")
    parser.add_argument(
        "--checkpoint", type=Path, help="pytorch_mobilenetv2.pth of its authors; random without"
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def prepare(
    clone: Path, checkpoint: Path | None, folder: Path, draw: Callable[[Any], None] | None = None
) -> tuple[nn.Module, Model]:
    """Build the official network, and export the same weights for our runtime.

    Without a checkpoint, ``draw`` fills it; by default, :func:`randomise`.
    """
    sys.path.insert(0, str(clone))
    with torchvision_or_stand_in():
        from model import MattingRefine

    official = MattingRefine("mobilenetv2", SCALE, "sampling", PIXELS)
    if checkpoint:
        official.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    else:
        (draw or randomise)(official)
    official.eval()
    path = folder / "mobilenetv2.pth"
    torch.save(official.state_dict(), path)
    model = find_model(path)
    coarse, refiner = export_onnx(load_network(model), model.config, folder / "mobilenetv2")
    return official, dataclasses.replace(model, coarse_onnx=coarse, refiner_onnx=refiner, weights=None)


def randomise(network: Any) -> None:
    """Draw weights and statistics that keep activations within a few units, so that all parts matter."""
    generator = torch.Generator().manual_seed(0)

    def draw(like: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=generator)

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = draw(module.weight, -1, 1) * (5 / module.weight[0].numel()) ** 0.5
            if module.bias is not None:
                module.bias.data = draw(module.bias, 0, 0.3)
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.data, module.bias.data = draw(module.weight, 0.7, 1.3), draw(module.bias, -0.1, 0.1)
            module.running_mean = draw(module.bias, -0.1, 0.1)
            module.running_var = draw(module.bias, 0.7, 1.3)
    # An error above 0 nearly everywhere, so that all pixels get sampled, and below 1, so that none are equal.
    network.decoder.conv4.weight.data[4] *= 0.2
    network.decoder.conv4.bias.data[4] = 0.5


def measure(programs: list[Callable[[], Any]], runs: int) -> dict[str, list[list[float]]]:
    """Run the programs in turn; returns wall and processor seconds of each run."""
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    times: dict[str, list[list[float]]] = {name: [[] for _ in programs] for name in clocks}
    for _ in range(runs):
        for number, program in enumerate(programs):
            began = {name: clock() for name, clock in clocks.items()}
            program()
            for name, clock in clocks.items():
                times[name][number].append(clock() - began[name])
    return times


def compare(
    name: str, times: list[list[float]], summarise: Callable[[list[float]], float]
) -> dict[str, float]:
    official, ours = (1000 * summarise(one) for one in times)
    return {
        f"official_{name}": round(official, 1),
        f"ours_{name}": round(ours, 1),
        f"ratio_{name.removesuffix('_ms')}": round(official / ours, 2),
    }


def read(path: Path) -> Any:
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return cv2.resize(picture, (1920, 1080), interpolation=cv2.INTER_AREA)


def to_tensor(pixels: Any) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


if __name__ == "__main__":
    main()
