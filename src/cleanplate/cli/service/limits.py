"""Limits of the service: sizes of uploads, lengths of queues, times."""

from __future__ import annotations

from dataclasses import dataclass, fields

from cleanplate.errors import OptionError
from cleanplate.vocabulary import option

IDLE_SECONDS = 30.0
"""Longest pause within an upload."""

INSPECTION_SECONDS = 30.0
"""Longest time to read the head of a file."""

INSPECTORS = 2
"""Processes that read heads of files, so that a file on which one hangs does not stop all uploads."""

PICTURE_SECONDS = 600.0
"""Longest time to key one picture."""


@dataclass(frozen=True)
class ServiceLimits:
    """Limits that flags of ``cleanplate serve`` set.

    Attributes:
        upload_mb: Largest request, in millions of bytes.
        megapixels: Largest picture, and largest frame of a clip.
        clip_minutes: Longest clip.
        queue: Largest number of waiting pictures and jobs, with those that are being uploaded.
        queue_per_client: The same for one client.
        stored_plates: Largest number of stored plates of one client.
        stored_jobs: Largest number of jobs of one client, with those that have ended.
        free_mb: Room on the disk that uploads leave free, in millions of bytes.
        keep_hours: Time after which results, and plates without a use, are removed.
        wait_seconds: Longest time that a picture waits for a worker.

    Raises:
        OptionError: A limit is not above 0.
    """

    upload_mb: float = option(2000.0, "--upload-mb", "largest request (default: {default:g})", type=float)
    megapixels: float = option(
        40.0, "--megapixels", "largest picture or frame (default: {default:g})", type=float
    )
    clip_minutes: float = option(30.0, "--clip-minutes", "longest clip (default: {default:g})", type=float)
    queue: int = option(
        64, "--queue", "most waiting pictures and jobs; more get status 429 (default: {default})", type=int
    )
    queue_per_client: int = option(
        16,
        "--queue-per-client",
        "most waiting pictures and jobs of one client (default: {default})",
        type=int,
    )
    stored_plates: int = option(
        100, "--stored-plates", "most stored plates of one client (default: {default})", type=int
    )
    stored_jobs: int = option(
        200, "--stored-jobs", "most jobs of one client, ended ones too (default: {default})", type=int
    )
    free_mb: float = option(
        500.0,
        "--free-mb",
        "space in MB that uploads leave free on the disk (default: {default:g})",
        type=float,
    )
    keep_hours: float = option(
        24.0,
        "--keep-hours",
        "time until results and unused plates are removed (default: {default:g})",
        type=float,
    )
    wait_seconds: float = option(
        120.0,
        "--wait-seconds",
        "longest wait of a picture; then status 503 (default: {default:g})",
        type=float,
    )

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not 0 < value < 1e9:
                raise OptionError(f"Expected --{entry.name.replace('_', '-')} above 0, got {value:g}.")

    @property
    def upload_bytes(self) -> int:
        return round(self.upload_mb * 1e6)

    @property
    def pixels(self) -> int:
        return round(self.megapixels * 1e6)
