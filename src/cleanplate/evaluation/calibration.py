"""Records the inputs of a model's networks while cases are keyed; int8 takes its ranges from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cleanplate.errors import PlateError
from cleanplate.evaluation.cases import Example
from cleanplate.export.export_options import Seen
from cleanplate.frame import Frame
from cleanplate.keyer.keyer import Keyer
from cleanplate.models.registry import Model
from cleanplate.plate import fit_plate, load_plate
from cleanplate.router import Coarse
from cleanplate.runtimes import Runtime, open_runtime

SCALES = ("auto", "fine")
"""Settings with which each picture is keyed: that of live work, and that of files."""


class InputRecorder:
    """A :class:`cleanplate.runtimes.Runtime` that records the inputs of another runtime's networks.

    Args:
        runtime: A runtime on the CPU.
    """

    def __init__(self, runtime: Runtime[Any]) -> None:
        self._runtime = runtime
        self.name, self.device, self.description = runtime.name, runtime.device, runtime.description
        self.model, self.router = runtime.model, runtime.router
        self.seen = Seen([], [])

    def coarse(self, source: Any, plate: Any) -> Coarse[Any]:
        self.seen.coarse.append({"source": np.array(source), "plate": np.array(plate)})
        return self._runtime.coarse(source, plate)

    def refine(self, half: Any, full: Any) -> Any:
        self.seen.refiner.append({"half": np.array(half), "full": np.array(full)})
        return self._runtime.refine(half, full)


def rehearse(model: Model, cases: Iterable[Example]) -> Iterator[Seen]:
    """Key the first frame of each case with the fitted plate, and yield the inputs of the networks.

    Cases with a refused plate are skipped.

    Raises:
        InputError: A case's picture cannot be read.
    """
    recorder = InputRecorder(open_runtime(model, device="cpu", threads=1))
    for case in cases:
        plate, frames = case.read()
        frame = Frame(next(frames).source)
        try:
            fitted = fit_plate(load_plate(plate), frame)
        except PlateError:
            continue
        for scale in SCALES:
            recorder.seen = Seen([], [])
            Keyer(fitted, runtime=recorder, scale=scale)(frame)
            yield recorder.seen
