"""Addresses of Ray clusters, checked before Ray connects, because its own waits take minutes."""

from __future__ import annotations

import os
import re
import socket
from importlib import import_module
from typing import Any

from cleanplate.errors import OptionError, UnavailableError
from cleanplate.system.plugins import find_plugins
from cleanplate.system.system_errors import reason_of

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
    others = "".join(f", --on {name}" for name in find_plugins("executor"))
    raise OptionError(f"Expected --on ray{others} or --on ray://HOST:PORT, got '{text}'.")


def check_head(address: str) -> None:
    """Check that a gRPC server answers at the address of a head; ``ray`` without ``RAY_ADDRESS`` has none.

    Raises:
        UnavailableError: None does.
    """
    named = os.environ.get("RAY_ADDRESS", "") if address == "ray" else address
    found = _split(named.removeprefix(CLIENT))
    if found is None:
        return
    try:
        socket.create_connection(found, timeout=_CONNECT_SECONDS).close()
        if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
            _shake_hands(found)
    except OSError as error:
        raise UnavailableError(
            f"There is no Ray head at {named}: {reason_of(error)}.",
            "check address and port; 'ray start --head' listens for clients on port 10001",
        ) from error


def _shake_hands(address: tuple[str, int]) -> None:
    """Connect with gRPC, which comes with the extra; OSError if the other end does not speak it."""
    grpc: Any = import_module("grpc")
    host, port = address
    with grpc.insecure_channel(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            raise TimeoutError("no answer") from None


def short_timeouts() -> None:
    """Let Ray give up after five seconds where another server answers, and send no usage statistics."""
    os.environ.setdefault("RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S", "1")
    os.environ.setdefault("RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S", "2")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def _split(text: str) -> tuple[str, int] | None:
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        return None
    return match["host"].strip("[]"), int(match["port"])
