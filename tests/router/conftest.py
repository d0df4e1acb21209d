"""Patch-wise definition of both routers, and material for comparing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.router import Coarse, Refine

Pixels = npt.NDArray[Any]


class TinyRefiner(nn.Module):
    """A refiner of the usual shape with random weights, large enough that every input matters."""

    def __init__(self, hidden: int, kernel: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(hidden + 10, 8, kernel)
        self.second = nn.Conv2d(8, 6, kernel)
        self.third = nn.Conv2d(6 + 6, 5, kernel)
        self.fourth = nn.Conv2d(5, 4, kernel)

    def forward(self, half: Tensor, full: Tensor) -> Tensor:
        x = self.second(self.first(half).relu()).relu()
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.fourth(self.third(torch.cat([x, full], 1)).relu())


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)  # the networks here are too small for more


@dataclass
class Scene:
    """Two pictures, possible results of a coarse network for them, and a refiner."""

    source: Pixels
    plate: Pixels
    coarse: Coarse[npt.NDArray[np.float32]]
    network: TinyRefiner
    kernel: int

    def call_on_numpy(self, half: npt.NDArray[np.float32], full: npt.NDArray[np.float32]) -> Any:
        with torch.inference_mode():
            return self.network(torch.from_numpy(half), torch.from_numpy(full)).numpy()


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., Scene]:
    def make(
        height: int,
        width: int,
        coarse_size: tuple[int, int],
        *,
        kernel: int = 3,
        batch: int = 1,
        hidden: int = 5,
        dtype: type = np.uint8,
        seed: int = 0,
    ) -> Scene:
        rng = np.random.default_rng(seed)

        def maps(channels: int, low: float, high: float) -> npt.NDArray[np.float32]:
            return rng.uniform(low, high, (batch, channels, *coarse_size)).astype(np.float32)

        top = np.iinfo(dtype).max
        return Scene(
            source=rng.integers(0, top, (batch, height, width, 3), dtype, endpoint=True),
            plate=rng.integers(0, top, (batch, height, width, 3), dtype, endpoint=True),
            coarse=Coarse(maps(1, 0, 1), maps(3, -0.4, 0.4), maps(1, 0, 1), maps(hidden, 0, 2)),
            network=TinyRefiner(hidden, kernel, seed).eval(),
            kernel=kernel,
        )

    return make


@pytest.fixture(scope="session")
def define() -> Callable[[Scene, Refine], tuple[Pixels, Pixels]]:
    """The definition: cut each selected cell's windows, run them alone, paste the 4 x 4 result."""

    def enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(maps, size, mode="bilinear", align_corners=False)

    def choose(error: Tensor, refine: Refine) -> Tensor:
        if refine.mode == "full":
            return torch.ones_like(error, dtype=torch.bool)
        if refine.mode == "threshold":
            return error > refine.value
        if refine.mode == "off":
            return torch.zeros_like(error, dtype=torch.bool)
        ranks = error.flatten().argsort(descending=True).argsort().view_as(error)
        return (ranks < refine.value // 16) & (error > 0)

    def define(scene: Scene, refine: Refine) -> tuple[Pixels, Pixels]:
        top = float(np.iinfo(scene.source.dtype).max)
        source, plate = (
            torch.from_numpy(x.astype(np.float32) / np.float32(top)).permute(0, 3, 1, 2)
            for x in (scene.source, scene.plate)
        )
        coarse = scene.coarse
        alpha, residual, error, hidden = (
            torch.from_numpy(x) for x in (coarse.alpha, coarse.residual, coarse.error, coarse.hidden)
        )
        height, width = source.shape[2:]
        half_size = (height // 2, width // 2)
        half_halo, full_halo = (3, 2) if scene.kernel == 3 else (0, 0)
        pictures = torch.cat([source, plate], 1)
        half = torch.cat(
            [enlarge(torch.cat([hidden, alpha, residual], 1), half_size), enlarge(pictures, half_size)], 1
        )
        half = F.pad(half, (half_halo,) * 4)
        full = F.pad(pictures, (full_halo,) * 4)
        result = enlarge(torch.cat([alpha, residual], 1), (height, width))
        errors = enlarge(error, (height // 4, width // 4))
        for b in range(len(source)):
            for row, column in choose(errors[b, 0], refine).nonzero().tolist():
                y, x = 2 * row, 2 * column
                half_window = half[b : b + 1, :, y : y + 2 + 2 * half_halo, x : x + 2 + 2 * half_halo]
                y, x = 4 * row, 4 * column
                full_window = full[b : b + 1, :, y : y + 4 + 2 * full_halo, x : x + 4 + 2 * full_halo]
                result[b, :, y : y + 4, x : x + 4] = scene.network(half_window, full_window)[0]
        foreground = (source + result[:, 1:]).clamp(0, 1).permute(0, 2, 3, 1).numpy() * top
        return result[:, 0].clamp(0, 1).numpy(), foreground

    return torch.inference_mode()(define)
