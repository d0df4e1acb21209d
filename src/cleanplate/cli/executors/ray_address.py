"""Addresses of Ray clusters: checked before Ray is imported, because its own waits take half a minute."""

from __future__ import annotations

import os
import re
import socket

from cleanplate.errors import OptionError, UnavailableError

CLIENT = "ray://"

_CONNECT_SECONDS = 3.0

_ADDRESS = re.compile(r"(?P<host>\[[^]]+\]|[^:/\[\]]+):(?P<port>\d{1,5})")


def check_address(text: str) -> str:
    """Check the value of ``--on``: ``ray``, or ``ray://HOST:PORT``.

    Raises:
        OptionError: It is neither.
    """
    if text == "ray" or (text.startswith(CLIENT) and _split(text.removeprefix(CLIENT)) is not None):
        return text
    raise OptionError(f"Expected --on ray or --on ray://HOST:PORT, got '{text}'.")


def check_head(address: str) -> None:
    """Check that something listens at the address of a head; ``ray`` without ``RAY_ADDRESS`` names none.

    Raises:
        UnavailableError: Nothing does.
    """
    named = os.environ.get("RAY_ADDRESS", "") if address == "ray" else address
    found = _split(named.removeprefix(CLIENT))
    if found is None:
        return
    try:
        socket.create_connection(found, timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise UnavailableError(
            f"There is no Ray head at {named}: {error.strerror or 'no answer'}.",
            "check address and port; 'ray start --head' listens for clients on port 10001",
        ) from error


def short_timeouts() -> None:
    """Let Ray give up after eight seconds where something else listens, and send no usage statistics."""
    os.environ.setdefault("RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S", "2")
    os.environ.setdefault("RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S", "3")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def _split(text: str) -> tuple[str, int] | None:
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        return None
    return match["host"].strip("[]"), int(match["port"])
