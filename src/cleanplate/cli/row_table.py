"""``cleanplate video shots.csv --status``: the state of every row as a table, or as JSON lines."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError, spell_for_manifest

EXIT_INCOMPLETE = 1
"""Exit code if any row is not done."""

_HEADING = ("row", "state", "clip", "result", "detail")


def tell_states(rows: Sequence[ManifestRow], reporter: Reporter) -> int:
    """Write the state of each row, and the counts; returns 0 if all are done, else 1."""
    from cleanplate.jobs.completion import STATES

    lines = [_HEADING]
    facts: list[dict[str, object]] = []
    counts: Counter[str] = Counter()
    for row in rows:
        state, detail, more = _state_of(row)
        counts[state] += 1
        result = os.fspath(row.results[0]) if row.results else ""
        lines.append((str(row.number), state, row.name, result, detail))
        facts.append(
            {"row": row.number, "state": state, "clip": row.name, "path": result, "detail": detail, **more}
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADING) - 1)]
    for number, line in enumerate(lines):
        padded = [f"{text:<{width}}" for text, width in zip(line, widths, strict=False)]
        text = "  ".join([*padded, line[-1]]).rstrip()
        if number == 0:
            reporter.heading(text)
        else:
            reporter.row(text, **facts[number - 1])
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    reporter.done(f"{len(rows)} clips: {told}." if told else "No clips.", clips=len(rows), **counts)
    return 0 if counts["done"] == len(rows) else EXIT_INCOMPLETE


def _state_of(row: ManifestRow) -> tuple[str, str, dict[str, object]]:
    """State, detail and facts of a row."""
    from cleanplate.cli.option_arguments import make_job
    from cleanplate.jobs.completion import find_state

    arguments = row.arguments
    if isinstance(arguments, CleanplateError):
        return "failed", arguments.message, {"hint": spell_for_manifest(arguments.hint)}
    found = find_state(make_job(arguments), row.results)
    facts = dict(found.facts)
    if "hint" in facts:
        facts["hint"] = spell_for_manifest(facts["hint"])
    return found.state, found.detail, facts
