"""Start and end of the service: the socket, uvicorn, and the order of a shutdown."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from anyio import to_thread

from cleanplate.cli.service.access import Access
from cleanplate.cli.service.engine import Engine, Service
from cleanplate.cli.service.job_store import Store
from cleanplate.cli.service.limits import ServiceLimits
from cleanplate.cli.service.routes import make_app
from cleanplate.errors import OptionError
from cleanplate.media.locks import lock_outputs
from cleanplate.system.system_errors import reason_of

CONNECTIONS = 1000
"""Largest number of open connections; more get 503."""

CLOSE_SECONDS = 5


def serve(
    folder: Path,
    address: tuple[str, int],
    limits: ServiceLimits,
    tokens: frozenset[str],
    workers: int,
    engine: Engine,
    on_start: Callable[[str], None],
    *,
    page: Path | None = None,
) -> None:
    """Serve until a signal comes.

    Args:
        folder: Folder of the service.
        address: Host and port; port 0 takes a free one.
        limits: Limits of requests.
        tokens: Valid tokens; may be empty.
        workers: Number of pictures and clips at the same time.
        engine: Does the work.
        on_start: Receives the address of the service, as a URL.
        page: Folder of the built web page; None serves none.

    Raises:
        CleanplateError: The folder or the port cannot be used.
    """
    store = Store(folder)
    with lock_outputs([store.folder / "service"]):
        service = Service(store, limits, Access(tokens), workers, engine)
        listener = open_listener(*address)
        config = uvicorn.Config(
            make_app(service, page),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a client could choose its address
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=CLOSE_SECONDS,
            h11_max_incomplete_event_size=1 << 16,
        )
        port = listener.getsockname()[1]
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        service.start()
        try:
            on_start(f"http://{host}:{port}")
            _StoppingServer(config, service).run(sockets=[listener])
        finally:
            service.stop()


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OptionError: The address is unknown or in use.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(256)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = reason_of(error)
        raise OptionError(
            f"{host}:{port} cannot be listened on: {reason}.", "choose another --port"
        ) from error
    return listener


class _StoppingServer(uvicorn.Server):
    """Ends the work before it waits for connections, which wait for the work."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Request the end. Further signals change nothing: the state of the jobs is being saved."""
        if not self.should_exit:
            super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await to_thread.run_sync(self._service.stop)
        await super().shutdown(sockets)
