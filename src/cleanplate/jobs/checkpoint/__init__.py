"""What an interrupted job needs to go on: what it was, how far it came, what its keyer remembers."""

from cleanplate.jobs.checkpoint.checkpointer import Keeping, Remembering
from cleanplate.jobs.checkpoint.fingerprint import Fingerprint, fingerprint, versions_of
from cleanplate.jobs.checkpoint.record import Checkpoint, DamagedError, Moment, Work
from cleanplate.jobs.checkpoint.resume import begin, find_damaged, is_begun, is_done

__all__ = [
    "Checkpoint",
    "DamagedError",
    "Fingerprint",
    "Keeping",
    "Moment",
    "Remembering",
    "Work",
    "begin",
    "find_damaged",
    "fingerprint",
    "is_begun",
    "is_done",
    "versions_of",
]
