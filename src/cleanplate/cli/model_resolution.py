"""Resolution of ``--model auto``: one choice for all processes, by the machine that reads the command."""

from __future__ import annotations

import copy
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace

from cleanplate.cli.manifest import ManifestRow
from cleanplate.errors import CleanplateError
from cleanplate.vocabulary import KeyerOptions
from cleanplate.vocabulary.options import AUTO_MODEL


def resolve_model(arguments: Namespace, on_note: Callable[[str], None]) -> Namespace:
    """Arguments with the chosen model's name in the place of ``auto``; a note tells it."""
    if str(arguments.model) != AUTO_MODEL:
        return arguments
    from cleanplate.runtimes.model_choice import choose_model

    options = KeyerOptions(runtime=arguments.runtime, device=arguments.device, precision=arguments.precision)
    choice = choose_model(options)
    on_note(f"The model is {choice.name}: {choice.reason}.")
    resolved = copy.copy(arguments)
    resolved.model = choice.name
    return resolved


def resolve_models(rows: Sequence[ManifestRow], on_note: Callable[[str], None]) -> list[ManifestRow]:
    """Rows of a manifest with resolved models, so that nodes with other processors take the same.

    Equal notes are told once.
    """
    told: set[str] = set()

    def tell(note: str) -> None:
        if note not in told:
            told.add(note)
            on_note(note)

    return [
        row
        if isinstance(row.arguments, CleanplateError)
        else replace(row, arguments=resolve_model(row.arguments, tell))
        for row in rows
    ]
