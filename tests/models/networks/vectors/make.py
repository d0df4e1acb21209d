"""Makes the test vectors of this folder from the official code; also says which weights they belong to.

    git clone https://github.com/PeterL1n/BackgroundMattingV2 bgm
    PYTHONPATH=bgm python tests/models/networks/vectors/make.py        # needs torch and torchvision

Weights are not stored: :func:`seeded_state` makes them, in the order of their names, from one NumPy generator
(PCG64). Inputs come from :func:`seeded_picture`. Hidden features are stored for every eighth channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

SEED = 20201215
COARSE_CASES = {"mobilenetv2": (29, 35), "resnet50": (29, 35), "resnet101": (18, 33)}
REFINER_CASES = {3: (28, 36), 1: (28, 36)}
COARSE_SCALE = 4
KEYED_SIZE = (36, 44)
"""Multiples of 4, as the official code wants them; the coarse maps are 9 x 11."""
KEYED_CASES = {
    f"keyed-{mode}-{kernel}": (kernel, f"{mode}{value}")
    for kernel in (3, 1)
    for mode, value in (("sampling", ":480"), ("threshold", ":0.45"), ("full", ""))
} | {"keyed-off": (None, "off")}
"""Kernel of the refiner (None: the network without one, on the whole picture), and where it refines."""


def seeded_state(shapes: Mapping[str, tuple[int, ...]], seed: int = SEED) -> dict[str, torch.Tensor]:
    """Make weights and batch norm statistics that keep activations of the order of 1 at any depth."""
    generator = np.random.default_rng(seed)

    def uniform(shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
        return low + (high - low) * generator.random(shape, dtype=np.float32)

    state = {}
    for name in sorted(shapes):
        shape = shapes[name]
        if name.endswith("num_batches_tracked"):
            value = np.zeros(shape, np.int64)
        elif name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
            value = uniform(shape, 0.7, 1.3)
            if name.endswith("bn3.weight") and ".layer" in name:
                value *= np.float32(0.25)
        elif name.endswith("conv4.bias"):
            value = uniform(shape, 0.2, 0.8)  # so that alpha is not clamped everywhere
        elif len(shape) == 1:
            value = uniform(shape, -0.2, 0.2)
        else:
            limit = (4.8 / (shape[1] * shape[2] * shape[3])) ** 0.5
            value = uniform(shape, -limit, limit)
        state[name] = torch.from_numpy(np.asarray(value))
    return state


def seeded_picture(seed: int, *shape: int) -> torch.Tensor:
    """Noise in [0, 1)."""
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))


def keyed_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Seeded weights whose refined alpha stays about its bias, and so within [0, 1] in places."""
    state = seeded_state(shapes)
    if "refiner.conv4.weight" in state:
        state["refiner.conv4.weight"] *= 0.3
        state["refiner.conv4.bias"] = torch.tensor([0.6, 0.1, -0.1, 0.0])
    return state


def seeded_pixels(seed: int) -> np.ndarray:
    """A smooth uint16 picture with some noise on it."""
    generator = np.random.default_rng(seed)
    height, width = KEYED_SIZE
    rough = torch.from_numpy(generator.random((1, 3, 5, 6), dtype=np.float32))
    smooth = torch.nn.functional.interpolate(rough, KEYED_SIZE, mode="bilinear", align_corners=False)
    noisy = 0.9 * smooth[0].permute(1, 2, 0).numpy() + 0.1 * generator.random((height, width, 3))
    return np.rint(noisy * 65535).astype(np.uint16)


@torch.no_grad()
def main() -> None:
    from model.model import MattingBase, MattingRefine

    folder = Path(__file__).parent
    for backbone, size in COARSE_CASES.items():
        network = MattingRefine(backbone).eval()
        network.load_state_dict(seeded_state({k: tuple(v.shape) for k, v in network.state_dict().items()}))
        source, plate = (seeded_picture(seed, 1, 3, *size) for seed in (1, 2))
        features, *skips = network.backbone(torch.cat([source, plate], dim=1))
        x = network.decoder(network.aspp(features), *skips).numpy()
        np.savez(
            folder / f"coarse-{backbone}.npz",
            alpha=x[:, 0:1].clip(0, 1),
            residual=x[:, 1:4],
            error=x[:, 4:5].clip(0, 1),
            hidden=x[:, 5:].clip(0, None)[:, ::8],
        )
    for kernel, (height, width) in REFINER_CASES.items():
        network = MattingRefine("mobilenetv2", refine_mode="full", refine_kernel_size=kernel).eval()
        refiner = network.refiner
        refiner.load_state_dict(seeded_state({k: tuple(v.shape) for k, v in refiner.state_dict().items()}))
        source, plate = (seeded_picture(seed, 1, 3, height, width) for seed in (3, 4))
        maps = [
            seeded_picture(seed, 1, channels, height // COARSE_SCALE, width // COARSE_SCALE)
            for seed, channels in ((5, 1), (6, 3), (7, 1), (8, 32))
        ]
        alpha, residual, _ = refiner(source, plate, *maps)
        np.savez(folder / f"refiner-{kernel}.npz", refined=torch.cat([alpha, residual], dim=1).numpy())
    for name, (kernel, refine) in KEYED_CASES.items():
        mode, _, value = refine.partition(":")
        if kernel is None:
            network = MattingBase("mobilenetv2")
        else:
            network = MattingRefine(
                "mobilenetv2",
                backbone_scale=1 / COARSE_SCALE,
                refine_mode=mode.replace("threshold", "thresholding"),
                refine_sample_pixels=int(value) if mode == "sampling" else 80_000,
                refine_threshold=float(value) if mode == "threshold" else 0.1,
                refine_kernel_size=kernel,
            )
        network.load_state_dict(keyed_state({k: tuple(v.shape) for k, v in network.state_dict().items()}))
        source, plate = (
            torch.from_numpy(np.float32(seeded_pixels(seed)) / 65535).permute(2, 0, 1)[None]
            for seed in (10, 11)
        )
        alpha, foreground, *_ = network.eval()(source, plate)
        codes = np.rint(foreground[0].permute(1, 2, 0).numpy() * 65535).astype(np.uint16)
        np.savez(folder / f"{name}.npz", alpha=alpha[0, 0].numpy(), foreground=codes)


if __name__ == "__main__":
    main()
