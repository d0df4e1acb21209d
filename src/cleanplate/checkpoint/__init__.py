"""What an interrupted job needs to go on: what it was, how far it came, what its keyer remembers."""

from cleanplate.checkpoint.beginning import begin, find_damaged, is_begun, is_done
from cleanplate.checkpoint.fingerprint import Fingerprint, fingerprint, versions_of
from cleanplate.checkpoint.keeping import Keeping, Remembering
from cleanplate.checkpoint.record import Checkpoint, DamagedError, Moment, Work

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
