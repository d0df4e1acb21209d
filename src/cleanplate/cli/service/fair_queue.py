"""Queue of tasks, fair among clients: each takes its turn, whatever the others have sent."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cleanplate.cli.service.refusals import Refusal

LONGEST_RETRY_SECONDS = 600


@dataclass(eq=False)
class QueuedTask:
    """Work for a worker.

    Attributes:
        client: Its queue.
        is_clip: Clips leave one worker free for pictures.
        run: Does the work, in the worker's thread.
        abandoned: Whether nobody waits for it any more.
    """

    client: str
    is_clip: bool
    run: Callable[[Any], None]
    abandoned: threading.Event = field(default_factory=threading.Event)


class FairQueue:
    """Tasks by client, given out in turn; for several threads.

    Args:
        most: Largest number of waiting and reserved tasks.
        most_per_client: The same for one client.
        workers: Number of threads that take tasks.
    """

    def __init__(self, most: int, most_per_client: int, workers: int) -> None:
        self._most, self._most_per_client = most, most_per_client
        self._workers = workers
        self._most_clips = max(1, workers - 1)
        self._waiting: OrderedDict[str, list[QueuedTask]] = OrderedDict()
        self._reserved: Counter[str] = Counter()
        self._running: Counter[bool] = Counter()
        self._seconds = 1.0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, client: str) -> Iterator[None]:
        """Keep a place during an upload.

        Raises:
            Refusal: 429, the queue is full; 503, the service is stopping.
        """
        with self._changed:
            self._check_room(client)
            self._reserved[client] += 1
        try:
            yield
        finally:
            with self._changed:
                self._reserved[client] -= 1
                self._reserved += Counter()  # drops zeros

    def put(self, task: QueuedTask) -> None:
        """Add a task, whose place was reserved or whose job is older than this process."""
        with self._changed:
            self._waiting.setdefault(task.client, []).append(task)
            self._changed.notify_all()

    def take(self) -> QueuedTask | None:
        """Wait for the next task; None when the queue is closed."""
        with self._changed:
            while not self._closed:
                task = self._next()
                if task is not None:
                    self._running[task.is_clip] += 1
                    return task
                self._changed.wait()
            return None

    def done(self, task: QueuedTask, seconds: float) -> None:
        """Report the end of a task that was taken."""
        with self._changed:
            self._running[task.is_clip] -= 1
            self._seconds += 0.2 * (seconds - self._seconds)
            self._changed.notify_all()

    def close(self) -> None:
        """Give out no more tasks."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def count(self) -> dict[tuple[str, str], int]:
        """Number of tasks by state and kind."""
        with self._changed:
            waiting = Counter(task.is_clip for tasks in self._waiting.values() for task in _wanted(tasks))
            kinds = {False: "picture", True: "clip"}
            return {
                (state, kinds[kind]): counter[kind]
                for state, counter in (("waiting", waiting), ("running", self._running))
                for kind in kinds
            }

    def _check_room(self, client: str) -> None:
        if self._closed:
            raise Refusal(503, "The service is stopping.", "try again later", retry_seconds=10)
        waiting = {name: len(_wanted(tasks)) for name, tasks in self._waiting.items()}
        total = sum(waiting.values()) + sum(self._reserved.values())
        own = waiting.get(client, 0) + self._reserved[client]
        retry = round(min(LONGEST_RETRY_SECONDS, max(1, self._seconds * (own or total) / self._workers)))
        if total >= self._most:
            raise Refusal(429, f"The queue is full: {total} wait.", "try again later", retry_seconds=retry)
        if own >= self._most_per_client:
            hint = "wait for results before sending more"
            raise Refusal(429, f"{own} requests of this client wait already.", hint, retry_seconds=retry)

    def _next(self) -> QueuedTask | None:
        """The first task that may run of the client whose turn it is; that client then goes to the end."""
        clips_may_run = self._running[True] < self._most_clips
        for client, tasks in list(self._waiting.items()):
            left = _wanted(tasks)
            found = next((task for task in left if clips_may_run or not task.is_clip), None)
            if found is not None:
                left.remove(found)
                self._waiting.move_to_end(client)
            self._waiting[client] = left
            if not left:
                del self._waiting[client]
            if found is not None:
                return found
        return None


def _wanted(tasks: list[QueuedTask]) -> list[QueuedTask]:
    return [task for task in tasks if not task.abandoned.is_set()]
