"""Notes of a run: of the fit of its plate, and of the part that an interruption leaves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from cleanplate.errors import spell
from cleanplate.frame import Matte
from cleanplate.jobs.checkpoint import DamagedError, Work, is_begun
from cleanplate.jobs.pipeline import Progress
from cleanplate.keyer.keyer import Keyer
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer
from cleanplate.plate import Fit


@contextlib.contextmanager
def leaving(
    work: Work, results: Sequence[Path], on_note: Callable[[str], None], whose: str = ""
) -> Iterator[None]:
    """Note the finished part of an interrupted job; remove its files if there is none.

    Args:
        work: Files of the job, or of one of its spans.
        results: Results of the run.
        on_note: Receives the note.
        whose: Words after "frames", such as " of span 3".
    """
    try:
        yield
    except BaseException:
        if not any(map(is_begun, results)):
            work.clear()
        with contextlib.suppress(DamagedError):
            left = work.read()
            if left is not None and left.frames:
                what = "finish the results" if left.complete else "key the rest"
                on_note(spell(f"{left.frames} frames{whose} are done; {what} with --resume."))
        raise


def tell_existing(results: Sequence[Path], on_note: Callable[[str], None]) -> None:
    """Note that a run with ``resume`` leaves the existing results as they are.

    A finished result has no record of its options, so they are not compared with those of the run.
    """
    for path in results:
        on_note(
            spell(
                f"{path.name} exists and is left as it is, also if it was made with other options; "
                "--overwrite makes it again."
            )
        )


class FitNotes:
    """Passes on the notes of the plate's fit to the first frame, which the keyer makes in another thread."""

    def __init__(
        self,
        keyer: Keyer | RecurrentKeyer,
        on_note: Callable[[str], None],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._keyer = keyer
        self._on_note, self._on_progress = on_note, on_progress
        self._fit: Fit | None = None
        self._told = False

    def __enter__(self) -> FitNotes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fit = self._fit or self._keyer.fit  # without a matte, that of the frame that failed
        self._tell()

    def observe(self, _: Matte) -> None:
        """Take the fit of the first matte: at the next tick, that of a plate that moves is another one."""
        if self._fit is None:
            self._fit = self._keyer.fit

    def tick(self, progress: Progress) -> None:
        """Pass on new notes, then the progress."""
        self._tell()
        if self._on_progress is not None:
            self._on_progress(progress)

    def _tell(self) -> None:
        if self._fit is not None and not self._told:
            self._told = True
            for note in self._fit.notes:
                self._on_note(note)
