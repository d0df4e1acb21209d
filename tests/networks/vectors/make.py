"""Makes the test vectors of this folder from the official code; also says which weights they belong to.

    git clone https://github.com/PeterL1n/BackgroundMattingV2 bgm
    PYTHONPATH=bgm python tests/networks/vectors/make.py        # needs torch and torchvision

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


def seeded_state(shapes: Mapping[str, tuple[int, ...]], seed: int = SEED) -> dict[str, torch.Tensor]:
    """Weights and batch norm statistics that keep activations of the order of 1, whatever the depth."""
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


@torch.no_grad()
def main() -> None:
    from model.model import MattingRefine

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


if __name__ == "__main__":
    main()
