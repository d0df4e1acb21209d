"""Warnings about plug-ins as notes of the command line, without file and line."""

from __future__ import annotations

import warnings
from typing import TextIO

from cleanplate.cli.reporter import Reporter
from cleanplate.system.plugins import PluginWarning


def show_plugin_warnings() -> None:
    """Show warnings about plug-ins as notes from now on; all others stay as they are."""
    usual = warnings.showwarning
    if usual.__module__ == __name__:  # an earlier command in this process
        return

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, PluginWarning):
            Reporter().note(str(message))
        else:
            usual(message, category, filename, lineno, file, line)

    warnings.showwarning = show
