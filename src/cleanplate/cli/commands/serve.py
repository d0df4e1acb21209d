"""``cleanplate serve``: an HTTP service for pictures and clips."""

from __future__ import annotations

import argparse
import contextlib
import signal
from importlib.util import find_spec
from pathlib import Path

from cleanplate.cli.commands.image import PhotoCutter
from cleanplate.cli.commands.video import key_clip
from cleanplate.cli.option_arguments import add_options, collect
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import InputError, MissingExtraError, OptionError
from cleanplate.system.cores import usable_cores

LIBRARIES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")

MOST_WORKERS = 4
"""Default limit of workers: each holds a picture, some 60 bytes a pixel."""

NAME = "serve"
SUMMARY = "serve pictures and clips over HTTP"
EXAMPLES = """\
examples:
  cleanplate serve
  cleanplate serve --host 0.0.0.0 --token-file tokens.txt --folder /srv/cleanplate
  curl -F source=@photo.jpg -F plate=@plate.jpg http://localhost:8750/v1/image -o cut.png

exit code: 0 after Ctrl-C or SIGTERM; unfinished jobs go on at the next start
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    from cleanplate.cli.service.limits import ServiceLimits

    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8750, help="port; 0: a free one (default: %(default)s)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("cleanplate-service"),
        help="folder of the service for uploads, jobs and plates (default: %(default)s)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="bearer tokens, one a line (or one token in the variable CLEANPLATE_TOKEN)",
    )
    parser.add_argument(
        "--page", type=Path, metavar="FOLDER", help="built web page to serve too, for example web/dist"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="pictures and clips at the same time (default: 2 to 4)"
    )
    add_options(parser.add_argument_group("limits"), ServiceLimits)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    if any(find_spec(library) is None for library in LIBRARIES):
        raise MissingExtraError("serve", "The service")
    from cleanplate.cli.service.access import check_host, read_tokens
    from cleanplate.cli.service.engine import Engine
    from cleanplate.cli.service.limits import ServiceLimits
    from cleanplate.cli.service.server import serve

    limits = collect(ServiceLimits, arguments)
    workers = max(2, min(MOST_WORKERS, usable_cores())) if arguments.workers is None else arguments.workers
    if workers < 1:
        raise OptionError(f"Expected --workers of at least 1, got {workers}.")
    if not 0 <= arguments.port < 65536:
        raise OptionError(f"Expected --port from 0 to 65535, got {arguments.port}.")
    if arguments.page is not None and not (arguments.page / "index.html").is_file():
        raise InputError(f"There is no page in {arguments.page}: index.html is missing.", "run make web")
    tokens = read_tokens(arguments.token_file)
    check_host(arguments.host, tokens)
    # A service manager's signal ends the service as Ctrl-C does.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Reporter() as reporter, contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as undo:
        undo.callback(signal.signal, signal.SIGTERM, before)
        serve(
            arguments.folder,
            (arguments.host, arguments.port),
            limits,
            tokens,
            workers,
            Engine(key_clip, PhotoCutter),
            reporter.result,
            page=arguments.page,
        )
    return 0
