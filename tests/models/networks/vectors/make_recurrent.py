"""Makes the test vectors of RVM by running the official code; also says which weights they belong to.

    git clone https://github.com/PeterL1n/RobustVideoMatting rvm
    PYTHONPATH=rvm python tests/models/networks/vectors/make_recurrent.py        # needs torch and torchvision

That code is GPL-3.0 and none of it is here: only numbers that it gave. Weights are made as in ``make.py``.
A sequence of two frames goes in, and then one frame more with the state that they left; stored are alpha of
all three, the foreground of the last, and every fourth channel of its states.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch


class Case(NamedTuple):
    backbone: str
    guided_filter: str
    downsample_ratio: float


SIZE = (33, 47)
FRAMES = 3
CASES = {
    "recurrent-mobilenetv3": Case("mobilenetv3", "deep", 1),
    "recurrent-mobilenetv3-deep": Case("mobilenetv3", "deep", 0.6),
    "recurrent-mobilenetv3-fast": Case("mobilenetv3", "fast", 0.6),
    "recurrent-resnet50": Case("resnet50", "deep", 1),
    "recurrent-resnet50-deep": Case("resnet50", "deep", 0.6),
    "recurrent-resnet50-fast": Case("resnet50", "fast", 0.6),
}


def centre(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Move seeded weights so that alpha is not clamped everywhere, and the box filter nearly is one."""
    state = dict(state)
    for name in ("project_mat.conv.bias", "refiner.conv.6.bias"):
        if name in state:
            state[name] = torch.tensor([0.1, -0.1, 0.05, 0.5])
    if "refiner.box_filter.weight" in state:
        state["refiner.box_filter.weight"] = (1 + 0.3 * state["refiner.box_filter.weight"]) / 9
    return state


@torch.no_grad()
def main() -> None:
    from make import seeded_picture, seeded_state
    from model import MattingNetwork

    for name, case in CASES.items():
        network = MattingNetwork(case.backbone, f"{case.guided_filter}_guided_filter").eval()
        shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        network.load_state_dict(centre(seeded_state(shapes)))
        frames = seeded_picture(9, 1, FRAMES, 3, *SIZE)
        _, alpha, *state = network(frames[:, :2], None, None, None, None, case.downsample_ratio)
        foreground, last_alpha, *state = network(frames[:, 2], *state, case.downsample_ratio)
        np.savez(
            Path(__file__).parent / f"{name}.npz",
            alpha=torch.cat([alpha, last_alpha[:, None]], dim=1).numpy(),
            foreground=foreground.numpy(),
            **{f"state{number}": values[:, ::4].numpy() for number, values in enumerate(state, 1)},
        )


if __name__ == "__main__":
    main()
