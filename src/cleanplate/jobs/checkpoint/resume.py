"""Start of a job: after the finished frames of an interrupted run, or at the first frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cleanplate.errors import OptionError, OutputError
from cleanplate.jobs.checkpoint.fingerprint import Fingerprint, find_differences
from cleanplate.jobs.checkpoint.record import Checkpoint, DamagedError, Work
from cleanplate.jobs.checkpoint.span_files import SpanFiles, clear_spans
from cleanplate.media.numbering import is_pattern, numbered_files
from cleanplate.media.video.segments import (
    clear_parts,
    end_joined_move,
    find_damage,
    find_finished,
    find_parts,
    is_joined,
    remove_folder,
)
from cleanplate.system.temporary_files import work_folder


def begin(
    work: Work,
    paths: Sequence[Path],
    job: Fingerprint,
    *,
    resume: bool,
    overwrite: bool,
    on_note: Callable[[str], None],
) -> Checkpoint | None:
    """Find the frame to begin with, and remove the files of an interrupted run that is not continued.

    Args:
        work: The job's files.
        paths: Its results.
        job: Its fingerprint.
        resume: Whether to continue an interrupted run.
        overwrite: Whether results and interrupted runs may be replaced.
        on_note: Receives a note if the last state is damaged and an earlier one is used.

    Returns:
        Progress of the job; None if it is complete, and every result is in its place.

    Raises:
        OptionError: The interrupted run was another job.
        OutputError: There is an interrupted run, and neither ``resume`` nor ``overwrite`` is set.
        DamagedError: Its files are damaged, and ``overwrite`` is not set.
    """
    found = None
    try:
        found = work.read()
        if resume and found is not None:
            if differences := find_differences(found.job, job):
                raise OptionError(
                    f"{work.path.name} was begun with another {', '.join(differences)}.",
                    "resume with the same options, or start again with --overwrite",
                )
            _finish_cleaning(found, paths)
            return _find_intact(work, found, paths, on_note)
    except DamagedError:
        if not overwrite:
            raise
    if resume and found is None and all(map(is_there, paths)):
        for path in paths:
            clear_spans(path)
        work.clear()  # a kill may have come while the last run cleared up
        return None
    if not overwrite:
        _refuse(work, found, paths)
    work.clear()
    for path in paths:
        clear_spans(path)
        clear_parts(path)
    return Checkpoint(job, overwrite)


def is_done(path: Path, checkpoint: Checkpoint) -> bool:
    """Tell whether a result is complete and in its place, without segments."""
    if is_pattern(path):
        return checkpoint.complete and bool(numbered_files(path))
    begun = bool(find_parts(path)) or is_joined(path)
    return checkpoint.complete and path.exists() and not begun


def is_begun(path: Path) -> bool:
    """Tell whether any part of a result exists."""
    return bool(numbered_files(path)) if is_pattern(path) else bool(find_parts(path))


def find_damaged(checkpoint: Checkpoint, paths: Sequence[Path]) -> dict[Path, list[int]]:
    """Numbers of the missing or damaged segments of each result; results without any are left out."""
    grow = [path for path in paths if not is_done(path, checkpoint) and not is_joined(path)]
    found = {path: find_damage(path, checkpoint.segments.get(path.name, ())) for path in grow}
    return {path: numbers for path, numbers in found.items() if numbers}


def _finish_cleaning(found: Checkpoint, paths: Sequence[Path]) -> None:
    """Do the steps that a kill left out: the end of the last move, and removing an empty work folder."""
    for path in paths:
        end_joined_move(path)
        if is_done(path, found):
            remove_folder(work_folder(path))


def _find_intact(
    work: Work, found: Checkpoint, paths: Sequence[Path], on_note: Callable[[str], None]
) -> Checkpoint:
    """The last moment with an intact state."""
    if work.has_intact(found) or any(is_done(path, found) or is_joined(path) for path in paths):
        return found
    moment = next((moment for moment in reversed(found.moments) if work.has_intact(moment)), None)
    frames = 0 if moment is None else moment.frames
    on_note(
        f"The state after frame {found.frames} is damaged; {work.path.name} continues from frame {frames}."
    )
    return found.back_to(moment)


def is_there(path: Path) -> bool:
    """Tell whether a result exists, or any picture of a numbered one."""
    return bool(numbered_files(path)) if is_pattern(path) else path.exists()


def _refuse(work: Work, found: Checkpoint | None, paths: Sequence[Path]) -> None:
    """Raise if clearing the work folders would lose finished frames."""
    hint = "continue with --resume, or start again with --overwrite"
    if found is not None and found.frames:
        raise OutputError(f"{found.frames} frames of {work.path.name} are done already.", hint)
    if frames := SpanFiles(work.path).count().frames:
        raise OutputError(f"{frames} frames of {work.path.name} are done already, in spans.", hint)
    for path in paths:
        if found is None and find_finished(path):
            raise OutputError(f"{work_folder(path)} has parts of an earlier run.", hint)
