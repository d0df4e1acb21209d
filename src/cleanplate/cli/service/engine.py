"""The service without HTTP: limits, store, queue and workers, and the steps of each kind of request."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request

from cleanplate.cli.executors.executor import RowWork
from cleanplate.cli.service.access import Access, Caller
from cleanplate.cli.service.clip_job import run_clip
from cleanplate.cli.service.fair_queue import FairQueue, QueuedTask
from cleanplate.cli.service.job_store import ENDED, JobRecord, Store
from cleanplate.cli.service.limits import INSPECTORS, ServiceLimits
from cleanplate.cli.service.metrics import ServiceMetrics
from cleanplate.cli.service.pool import MakeCutter, PictureProcess, Pool
from cleanplate.cli.service.refusals import NO_ROOM, Refusal
from cleanplate.cli.service.uploads import UploadedFile

SWEEP_SECONDS = 60.0
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Engine:
    """Functions of the command line that do the work, each at the top of a module.

    Attributes:
        key_clip: Keys a clip.
        make_cutter: Makes the cutter of pictures of a child process.
    """

    key_clip: RowWork
    make_cutter: MakeCutter


class Service:
    """All parts of a running service.

    Args:
        store: Its folder.
        limits: Limits of requests.
        access: Tells callers apart.
        workers: Number of pictures and clips at the same time.
        engine: Does the work.
    """

    def __init__(
        self, store: Store, limits: ServiceLimits, access: Access, workers: int, engine: Engine
    ) -> None:
        self.store, self.limits, self.access = store, limits, access
        self.queue = FairQueue(limits.queue, limits.queue_per_client, workers)
        self.pool = Pool(self.queue, workers, engine.make_cutter)
        self.metrics = ServiceMetrics(self.queue.count)
        self._engine = engine
        self._inspections = asyncio.Semaphore(INSPECTORS)
        self._cancelled: dict[str, threading.Event] = {}
        self._sweeper = threading.Thread(target=self._sweep, daemon=True)

    @property
    def is_stopping(self) -> bool:
        return self.pool.stopping.is_set()

    @property
    def is_healthy(self) -> bool:
        """True if every worker runs."""
        return not self.is_stopping and self.pool.is_alive

    def start(self) -> None:
        """Start the workers, and queue the jobs of an earlier service."""
        for record in self.store.unfinished_jobs():
            self.queue_job(record)
        self.pool.start()
        self._sweeper.start()

    def stop(self) -> None:
        """End all work; unfinished jobs wait for the next start."""
        self.pool.stop()

    async def inspect(self, files: dict[str, UploadedFile], source: str) -> dict[str, Any]:
        """Refuse files above the limits; returns facts of each.

        Raises:
            Refusal: 413 above a limit, 422 for a file that cannot be read.
        """
        paths = {field: file.path for field, file in files.items()}
        seconds = self.limits.clip_minutes * 60
        arguments = (paths, self.limits.pixels, seconds, source)
        inspect = partial(self.pool.inspect, *arguments, names=client_names(files))
        # Waiting for a process takes no thread away from uploads.
        async with self._inspections:
            facts: dict[str, Any] = await to_thread.run_sync(inspect)
        return facts

    def check_room(self, caller: Caller, *, plate: bool = False, job: bool = False) -> None:
        """Refuse an upload that the disk or the caller's share has no room for.

        Raises:
            Refusal: 409, too many plates or jobs; 507, the disk is nearly full.
        """
        plates, jobs = self.store.count(caller.owner)
        if plate and plates >= self.limits.stored_plates:
            raise Refusal(409, f"{plates} plates of this client are stored.", "remove one with DELETE")
        if job and jobs >= self.limits.stored_jobs:
            raise Refusal(409, f"{jobs} jobs of this client are stored.", "remove one with DELETE")
        if shutil.disk_usage(self.store.folder).free < self.limits.free_mb * 1e6:
            raise Refusal(507, NO_ROOM, "try again later")

    def queue_job(self, record: JobRecord) -> None:
        """Put a job into the queue."""
        cancelled = self._cancelled[record.id] = threading.Event()

        def run(_: PictureProcess) -> None:
            if cancelled.is_set():
                return
            began = time.monotonic()
            work, threads = self._engine.key_clip, self.pool.threads
            try:
                run_clip(record, self.store, work, threads, cancelled, self.pool.stopping)
            finally:
                self._cancelled.pop(record.id, None)
                if record.state in ENDED:
                    self.metrics.count_end("clip", record.state, time.monotonic() - began)

        self.queue.put(QueuedTask(record.client, True, run, abandoned=cancelled))

    def cancel_job(self, record: JobRecord) -> None:
        """Cancel a waiting or running job; a running one ends within seconds."""
        event = self._cancelled.pop(record.id, None)
        if event is not None:
            event.set()
        if record.state == "queued":
            record.state, record.finished = "cancelled", time.time()
            self.store.save(record)
            self.store.remove_files(record)
            self.metrics.count_end("clip", "cancelled", 0.0)

    async def work_on(self, request: Request, caller: Caller, work: Any, folder: Path) -> Any:
        """Do work for a request in a worker, once it is the client's turn.

        Args:
            request: The request; its client may disconnect.
            caller: Its client.
            work: Function of a :class:`PictureProcess`.
            folder: Folder of the request, removed if the client goes away.

        Raises:
            Refusal: The work has failed, or has waited for too long.
            ClientDisconnect: The client has gone.
        """
        future: Future[Any] = Future()
        task = QueuedTask(caller.queue, False, lambda process: self._fulfil(future, work, process))
        self.queue.put(task)
        deadline = time.monotonic() + self.limits.wait_seconds
        waiter = asyncio.wrap_future(future)
        try:
            while not (await asyncio.wait({waiter}, timeout=_POLL_SECONDS))[0]:
                if await request.is_disconnected():
                    raise ClientDisconnect
                is_late = not future.running() and time.monotonic() > deadline
                if is_late or (self.is_stopping and not future.running()):
                    reason = "is stopping" if self.is_stopping else "is busy"
                    raise Refusal(503, f"The service {reason}.", "try again later", retry_seconds=30)
            return waiter.result()
        except BaseException:
            task.abandoned.set()
            if not future.done() and not future.cancel():
                # The files are in use until the worker is done with them.
                future.add_done_callback(lambda _: self.store.remove_folder(folder))
            else:
                self.store.remove_folder(folder)
            raise

    def _fulfil(self, future: Future[Any], work: Any, process: PictureProcess) -> None:
        if not future.set_running_or_notify_cancel():
            return
        began = time.monotonic()
        try:
            future.set_result(work(process))
            self.metrics.count_end("picture", "done", time.monotonic() - began)
        except BaseException as error:  # noqa: BLE001 - raised again where the request waits
            future.set_exception(error)
            self.metrics.count_end("picture", "failed", time.monotonic() - began)

    def _sweep(self) -> None:
        while not self.pool.stopping.wait(SWEEP_SECONDS):
            self.store.remove_old(self.limits.keep_hours * 3600)


def client_names(files: dict[str, UploadedFile]) -> dict[str, str]:
    """The client's name of each path."""
    return {str(file.path): file.name for file in files.values()}
