"""Commands that run the shards of a manifest on a farm: plain text, to be read before it is used."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable
from pathlib import Path

from cleanplate.cli.manifest import locate

FARMS = ("parallel", "cuecmd", "slurm", "k8s")
"""GNU parallel, OpenCue's cuecmd, a Slurm array, an indexed job of Kubernetes."""

_OWN = ("shard", "row", "on", "num_cpus", "num_gpus", "status", "print_commands", "json", "help")


def farm_commands(
    farm: str,
    given: argparse.Namespace,
    shards: int,
    add_arguments: Callable[[argparse.ArgumentParser], None],
) -> str:
    """The text for a farm.

    Args:
        farm: One of :data:`FARMS`.
        given: Arguments of the command line, which every shard gets.
        shards: Number of shards.
        add_arguments: Adds the arguments of a clip to a parser, to tell which differ from the defaults.
    """
    words = ["cleanplate", "video", str(given.source.absolute()), *given_options(given, add_arguments)]
    if not given.resume:
        words.append("--resume")
    folder = Path.cwd()
    if farm == "slurm":
        return _slurm(words, folder, shards)
    if farm == "k8s":
        return _kubernetes(words, folder, shards)
    lines = [shlex.join([*words, "--shard", f"{number}/{shards}"]) for number in range(1, shards + 1)]
    return "\n".join(f"cd {shlex.quote(str(folder))} && {line}" for line in lines)


def given_options(
    given: argparse.Namespace,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    folder: Path | None = None,
) -> list[str]:
    """The options that differ from their defaults, as words of a command.

    Args:
        given: Arguments of the command line.
        add_arguments: Adds the arguments of a clip to a parser.
        folder: Folder from which relative paths are resolved; None leaves them relative.
    """
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    words: list[str] = []
    for action in parser._actions:
        value = getattr(given, action.dest, action.default)
        if not action.option_strings or action.dest in _OWN or value == action.default:
            continue
        name = action.option_strings[-1]
        if isinstance(value, bool):
            words.append(name)
        elif isinstance(value, (list, tuple)):
            column = name.removeprefix("--")
            words += [
                name,
                *(str(each) if folder is None else locate(folder, column, str(each)) for each in value),
            ]
        else:
            text = str(value) if folder is None else locate(folder, name.removeprefix("--"), str(value))
            words.append(f"{name}={text}")
    return words


def _slurm(words: list[str], folder: Path, shards: int) -> str:
    return "\n".join(
        [
            "#!/bin/bash",
            "#SBATCH --job-name=cleanplate",
            f"#SBATCH --array=1-{shards}",
            f"#SBATCH --chdir={folder}",
            "#SBATCH --output=cleanplate-%A_%a.log",
            "#SBATCH --cpus-per-task=4",
            "# SIGTERM a minute before the time limit, which ends a task as Ctrl-C does: submit it again.",
            "#SBATCH --signal=B:TERM@60",
            f'exec {shlex.join(words)} --shard "$SLURM_ARRAY_TASK_ID/{shards}"',
        ]
    )


def _kubernetes(words: list[str], folder: Path, shards: int) -> str:
    command = json.dumps([*words, "--shard", f"/{shards}"])
    return "\n".join(
        [
            "apiVersion: batch/v1",
            "kind: Job",
            "metadata:",
            "  name: cleanplate",
            "spec:",
            "  completionMode: Indexed  # each pod gets its number in JOB_COMPLETION_INDEX",
            f"  completions: {shards}",
            f"  parallelism: {shards}  # fewer pods at the same time: a smaller number",
            "  backoffLimit: 20",
            "  template:",
            "    spec:",
            "      restartPolicy: Never",
            "      containers:",
            "        - name: cleanplate",
            "          image: cleanplate  # the name of your image",
            f"          workingDir: {json.dumps(str(folder))}",
            f"          command: {command}",
            "          volumeMounts:",
            "            - name: footage",
            f"              mountPath: {json.dumps(str(folder))}",
            "      volumes:",
            "        - name: footage",
            "          persistentVolumeClaim:",
            "            claimName: footage  # storage that all pods share: clips, plates, results",
        ]
    )
