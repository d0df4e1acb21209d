"""Executor: rows of a manifest one after the other in this process, for a debugger or a profiler.

The entry point's object is a function from an ``ExecutorRequest`` to an ``Executor``
(``cleanplate.cli.executors.executor``).
"""

from cleanplate.cli.executors.executor import EventReporter, RowEvent
from cleanplate.errors import CleanplateError
from cleanplate.media.locks import adopt


def open_here(request):
    return Here(request.work)


class Here:
    slots = 1

    def __init__(self, work):
        self._work = work
        self._waiting = []

    def submit(self, row, arguments, token):
        self._waiting.append((row.number, arguments, token))

    def hear(self):
        waiting, self._waiting = self._waiting, []
        for row, arguments, token in waiting:
            events = []
            adopt(token)
            reporter = EventReporter(events.append)
            try:
                self._work(arguments, reporter, None)
            except CleanplateError as error:
                reporter.error(error)
            yield from (RowEvent(row, *event) for event in events)
            yield RowEvent(row, "ended")

    def cancel(self):
        self._waiting.clear()

    def close(self):
        pass
