"""Contact sheets: input of the network, truth and result."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.frame import Pixels
from cleanplate.training.synthesis.moving_sequences import Footage
from cleanplate.training.synthesis.synthesis import Case
from cleanplate.training.validation import Prediction

CELL_WIDTH = 384
_BACKDROP = (0.0, 0.7, 0.25)


def draw_sheet(case: Case | Footage, made: Prediction) -> Pixels:
    """Draw rows of pictures: source, plate, true alpha, alpha, error made, composite over green.

    Sequences have no plate. There is one row per case; a sequence has three: its first, middle and last
    frame.

    Returns:
        uint8 ``(height, width, 3)``.
    """
    backdrop = torch.tensor(_BACKDROP, device=made.alpha.device)[:, None, None]
    composite = made.alpha * made.foreground + (1 - made.alpha) * backdrop
    wrong = (made.alpha - case.alpha).abs()
    plates = [case.plate[:, :3]] if isinstance(case, Case) else []
    columns = [case.source, *plates, case.alpha, made.alpha, wrong, composite]
    if isinstance(case, Footage):
        last = case.source.shape[1] - 1
        columns = [column[:, [0, last // 2, last]].flatten(0, 1) for column in columns]
    sheet = torch.cat([_shrink(column) for column in columns], dim=3)  # (rows, 3, h, columns * w)
    rows = sheet.permute(0, 2, 3, 1).flatten(0, 1)
    return np.asarray(rows.clamp(0, 1).mul(255).round().byte().cpu().numpy())


def _shrink(pictures: Tensor) -> Tensor:
    height, width = pictures.shape[2:]
    size = (max(1, round(height * CELL_WIDTH / width)), CELL_WIDTH)
    return F.interpolate(pictures.expand(-1, 3, -1, -1), size, mode="area")
