"""The command line: each subcommand turns its arguments into one call. ``cleanplate --help`` lists them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cleanplate import __version__
from cleanplate.cli.commands import (
    bench,
    datasets,
    doctor,
    evaluate,
    export,
    farm_template,
    image,
    live,
    models,
    plate,
    publish,
    serve,
    synthesize,
    train,
    video,
)
from cleanplate.cli.dashes import check_dashes
from cleanplate.cli.parser import Parser
from cleanplate.cli.plugin_warnings import show_plugin_warnings
from cleanplate.cli.reporter import Reporter
from cleanplate.cli.streams import drop_stdout, prepare_streams
from cleanplate.cli.subparsers import add_command, helper
from cleanplate.errors import CleanplateError, command_line_hints
from cleanplate.system.system_errors import explaining_system_errors

__all__ = ["build_parser", "main"]

_COMMANDS = (
    *(image, video, farm_template, live, serve, plate, models, export, doctor, bench),
    *(train, publish, synthesize, evaluate, datasets),
)

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

_EXAMPLES = """\
examples:
  cleanplate image photo.jpg --plate plate.jpg
  cleanplate video clip.mp4 --plate plate.jpg -o cut.mov
  cleanplate COMMAND --help
"""


def build_parser() -> argparse.ArgumentParser:
    """All subcommands; each one's module adds its arguments and its ``run(arguments) -> exit code``."""
    parser = Parser(
        prog="cleanplate",
        description="Cut the subject out of photos and videos with a picture of the empty set.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cleanplate {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    parser.set_defaults(run=helper(parser))
    for module in _COMMANDS:
        add_command(commands, module)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code. Without a command, print the help.

    The exit code is 0 after success, 2 after a user's error (also in the arguments), 130 after Ctrl-C, and
    141 if the reader of the output has closed the pipe.
    """
    prepare_streams()
    show_plugin_warnings()
    try:
        with command_line_hints():
            check_dashes(sys.argv[1:] if argv is None else argv)
            arguments = build_parser().parse_args(argv)
        with command_line_hints(), explaining_system_errors():
            return int(arguments.run(arguments))
    except CleanplateError as error:
        Reporter().error(error)
        return EXIT_ERROR
    except KeyboardInterrupt:
        Reporter().done("Interrupted.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        drop_stdout()
        return EXIT_BROKEN_PIPE
