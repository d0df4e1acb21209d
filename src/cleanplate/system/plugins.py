"""Plug-ins: runtimes, models, executors and formats of other packages, found by their entry points.

A package names its plug-ins in ``pyproject.toml``::

    [project.entry-points."cleanplate.runtimes"]
    plain-onnx = "cleanplate_example.plain_onnx"

The names are read from the packages' metadata, so that nothing is imported before a plug-in is used or
listed. ``docs/plugins.md`` has the contract of each kind.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from cleanplate.errors import CleanplateError, UnavailableError


@dataclass(frozen=True)
class PluginKind:
    """A kind of plug-in.

    Attributes:
        group: Group of its entry points.
        needs: Attributes that its object must have; empty for a function.
    """

    group: str
    needs: tuple[str, ...] = ()


KINDS: Mapping[str, PluginKind] = MappingProxyType(
    {
        "runtime": PluginKind(
            "cleanplate.runtimes",
            ("FILES", "DEVICES", "INSTALL_HINTS", "working_devices", "describe", "open_runtime"),
        ),
        "model": PluginKind("cleanplate.models"),
        "executor": PluginKind("cleanplate.executors"),
        "format": PluginKind("cleanplate.formats", ("has_alpha", "bit_depth", "decode", "encode")),
    }
)


class PluginWarning(UserWarning):
    """A plug-in is left out, because it is broken."""


@dataclass(frozen=True)
class Plugin:
    """A plug-in of an installed package.

    Attributes:
        kind: A key of ``KINDS``.
        name: Name of the entry point.
        target: ``module`` or ``module:attribute``.
        package: Name and version of the distribution.
    """

    kind: str
    name: str
    target: str
    package: str

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.package}"


def find_plugins(kind: str) -> dict[str, Plugin]:
    """Find the plug-ins of a kind by name, without importing them; of two with one name, the first counts."""
    found: dict[str, Plugin] = {}
    for entry in importlib.metadata.entry_points(group=KINDS[kind].group):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
        found.setdefault(entry.name, Plugin(kind, entry.name, entry.value, package))
    return dict(sorted(found.items()))


def load_plugin(plugin: Plugin) -> Any:
    """Import a plug-in's object.

    Raises:
        UnavailableError: Its import fails, or it lacks a part of its contract.
    """
    with explaining_plugin(plugin):
        entry = importlib.metadata.EntryPoint(plugin.name, plugin.target, KINDS[plugin.kind].group)
        loaded = entry.load()
        needs = KINDS[plugin.kind].needs
        if missing := [name for name in needs if not hasattr(loaded, name)]:
            raise AttributeError(f"it lacks {', '.join(missing)}")
        if not needs and not callable(loaded):
            raise TypeError("it is no function")
    return loaded


@contextlib.contextmanager
def explaining_plugin(plugin: Plugin) -> Iterator[None]:
    """Turn any exception of a plug-in's code, other than this package's, into UnavailableError."""
    try:
        yield
    except CleanplateError:
        raise
    except Exception as error:  # the code of others
        raise UnavailableError(
            f"The plug-in {plugin} is broken: {type(error).__name__}: {error}.",
            f"pip install --upgrade {plugin.package.partition(' ')[0]}, or uninstall it",
        ) from error


def working_plugins(kind: str) -> list[tuple[Plugin, Any]]:
    """Load all plug-ins of a kind; a broken one is left out with one warning in the process."""
    found: list[tuple[Plugin, Any]] = []
    for plugin in find_plugins(kind).values():
        with leaving_out(plugin):
            found.append((plugin, load_plugin(plugin)))
    return found


@contextlib.contextmanager
def leaving_out(plugin: Plugin) -> Iterator[None]:
    """Turn an error of this package into one warning in the process that the plug-in is left out."""
    try:
        yield
    except CleanplateError as error:
        _warn_once(plugin, error.message)


@cache
def _warn_once(plugin: Plugin, message: str) -> None:  # noqa: ARG001 - once for each plug-in
    warnings.warn(f"{message} It is left out.", PluginWarning, stacklevel=2)
