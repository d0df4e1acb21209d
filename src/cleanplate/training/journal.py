"""Journal of a run: ``log.jsonl``, TensorBoard's curves, contact sheets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from cleanplate.errors import MissingExtraError
from cleanplate.frame import Pixels
from cleanplate.media import write_image
from cleanplate.media.files import reporting_write_errors


class Journal:
    """The record of one run; a context manager.

    Args:
        folder: Folder of the run.
        step: Step from which TensorBoard's older curves are replaced.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError("train", "Training") from None
        self._folder = folder
        self._path = folder / "log.jsonl"
        with reporting_write_errors(folder):
            (folder / "sheets").mkdir(exist_ok=True)
            self._curves = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with reporting_write_errors(self._folder):
            self._curves.close()

    def curves(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        with reporting_write_errors(self._folder):
            for name, value in values.items():
                self._curves.add_scalar(name, value, step)

    def record(self, record: Mapping[str, Any]) -> None:
        """Append a line to ``log.jsonl``."""
        with reporting_write_errors(self._path), self._path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")

    def sheet(self, step: int, pixels: Pixels) -> Path:
        """Write a contact sheet as ``sheets/STEP.png``."""
        path = self._folder / "sheets" / f"{step:07d}.png"
        write_image(path, pixels, overwrite=True)
        with reporting_write_errors(self._folder):
            self._curves.add_image("sheet", pixels, step, dataformats="HWC")
        return path
