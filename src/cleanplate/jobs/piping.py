"""Checks of a job whose clip, plate or result is a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cleanplate.errors import OptionError
from cleanplate.jobs.job import AUTO_PLATE, Job, is_word
from cleanplate.system.pipes import is_pipe, is_standard, name_input
from cleanplate.vocabulary import Encoding

_FROM_FILES = {
    "--background": "background",
    "--keep": "keep",
    "--ignore": "ignore",
    "--props": "props",
    "--model": "model",
}
"""Options whose files are read several times, or sought in."""


def check_pipes(job: Job, layers: Sequence[str]) -> None:
    """Check the pipes of a job against its options.

    Raises:
        OptionError: An option needs a second pass over a pipe, a file, or a place on the disk; or two things
            share standard input or output.
    """
    for flag, name in _FROM_FILES.items():
        if is_standard(getattr(job if name == "background" else job.keyer, name)):
            raise OptionError(f"{flag} cannot be read from stdin.", "give a file")
    if is_standard(job.clip) and is_standard(job.plate):
        raise OptionError(
            "Source and plate cannot both be read from stdin.", "give one of them as a file or a named pipe"
        )
    if is_standard(job.clip) and job.out is None:
        raise OptionError(
            "A source on stdin has no name to derive the result's from.",
            "give -o: a file, or - for stdout",
        )
    if is_standard(job.out) and len(layers) > 1:
        raise OptionError(
            f"stdout takes one layer, but {len(layers)} are asked for: {', '.join(layers)}.",
            "save one of them, or give -o with a file",
        )
    if job.report is not None and is_pipe(job.report):
        raise OptionError(f"The report cannot be written to a pipe, got {job.report}.", "give a file")
    if is_pipe(job.clip) and is_word(job.plate, AUTO_PLATE):
        raise OptionError(
            f"A plate cannot be built from {name_input(Path(job.clip))}: building reads the clip twice, and "
            "a pipe can be read once only.",
            "give a plate, or the clip as a file",
        )
    if job.resume and (is_pipe(job.clip) or (job.out is not None and is_pipe(job.out))):
        raise OptionError("A run on a pipe cannot be resumed: its frames are gone.", "leave out --resume")


def check_pipe_format(encoding: Encoding, outputs: Mapping[str, Path]) -> None:
    """Refuse a pipe format if no result is a pipe.

    Raises:
        OptionError: All results are files, whose suffixes choose their formats.
    """
    if encoding.pipe_format is not None and not any(map(is_pipe, outputs.values())):
        names = ", ".join(path.name for path in outputs.values())
        raise OptionError(
            f"The format {encoding.pipe_format} is for a pipe, but the results are files: {names}.",
            "choose the format by the suffix, or write to stdout: -o -",
        )
