"""``cleanplate models``: list, add, download and remove models."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError, OptionError
from cleanplate.models.catalogue import CATALOGUE, find_published
from cleanplate.models.hub import PREFIX

if TYPE_CHECKING:
    from cleanplate.models.registry import Model

NAME = "models"
SUMMARY = "list the models, add a file, or download a published one"
EXAMPLES = f"""\
examples:
  cleanplate models                                    (list of installed and published models)
  cleanplate models add pytorch_mobilenetv2.pth        then: --model mobilenetv2
  cleanplate models add rvm_mobilenetv3.pth --onnx     then: --model rvm-mobilenetv3, no plate
  cleanplate models get resnet50                       one of: {", ".join(CATALOGUE)}
  cleanplate models remove resnet50

A file also works without being added: --model PATH takes .safetensors, .onnx or a checkpoint of BGMv2 or RVM.
"""

STATES = {
    "package": "in the package",
    "added": "added by you",
    "plug-in": "of a plug-in",
    "published": "cleanplate models get",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(do=_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser("list", help="list the models (default)")
    listing.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    listing.set_defaults(do=_list)
    adding = actions.add_parser("add", help="recognise and check a file, and store it under a name")
    adding.add_argument(
        "file", type=Path, metavar="FILE", help="weights: .pth, .pt, .torchscript or .safetensors"
    )
    adding.add_argument("--name", help="name of the model (default: its network's)")
    adding.set_defaults(do=_add)
    getting = actions.add_parser("get", help="download a model from its authors and add it")
    getting.add_argument(
        "name", metavar="NAME", help="hf:OWNER/NAME@REVISION, or one of " + ", ".join(CATALOGUE)
    )
    getting.add_argument("--yes", action="store_true", help="accept source and licence without being asked")
    getting.set_defaults(do=_get)
    for action in (adding, getting):
        action.add_argument("--onnx", action="store_true", help="also write files for ONNX Runtime")
        action.add_argument("--overwrite", action="store_true", help="replace a model of that name")
    removing = actions.add_parser("remove", help="delete a model that was added")
    removing.add_argument("name", metavar="NAME", help="name of the model")
    removing.set_defaults(do=_remove)


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    with Reporter() as reporter:
        arguments.do(arguments, reporter)
    return 0


def _list(arguments: argparse.Namespace, reporter: Reporter) -> None:
    models = describe_models()
    here = {model["name"] for model in models}
    models += [_describe_published(name) for name in CATALOGUE if name not in here]
    if arguments.json:
        reporter.result(json.dumps(models, indent=2))
        return
    for model in models:
        default = "  (default)" if model["default"] else ""
        runtimes = ", ".join(model["runtimes"]) or "not installed"
        reporter.result(
            f"{model['name']} {model['version']}: {runtimes}; {model['megabytes']:.1f} MB; "
            f"{model['licence']}; {STATES[model['state']]}{default}"
        )
        plate = "" if model["needs_plate"] else "; needs no plate"
        reporter.result(f"    {model['note'] or model['source']}{plate}")


def _add(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from cleanplate.models.added_models import add_model

    model = add_model(arguments.file, arguments.name, overwrite=arguments.overwrite)
    _finish(model, arguments.onnx, reporter)


def _get(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if arguments.name.startswith(PREFIX):
        _get_from_hub(arguments, reporter)
        return
    from cleanplate.models.added_models import add_model, check_name
    from cleanplate.models.download import download
    from cleanplate.models.home import data_folder
    from cleanplate.models.network_builder import require_torch

    published = find_published(arguments.name)
    require_torch()
    check_name(arguments.name, overwrite=arguments.overwrite)
    reporter.done(f"{arguments.name}: {published.what}, about {published.megabytes} MB")
    reporter.done(f"from {published.url}")
    reporter.done(f"licence: {published.note or published.licence}")
    if not arguments.yes:
        _ask()

    def tick(arrived: int, total: int | None) -> None:
        share = f" of {total / 1e6:.1f}" if total else ""
        reporter.progress(f"{arrived / 1e6:.1f}{share} MB")

    path = download(published.url, data_folder() / "downloads", on_bytes=tick)
    model = add_model(path, arguments.name, overwrite=arguments.overwrite)
    path.unlink()
    _finish(model, arguments.onnx, reporter)


def _get_from_hub(arguments: argparse.Namespace, reporter: Reporter) -> None:
    """Fetch a model of the hub; with ``--overwrite``, the commit that its revision has now."""
    from cleanplate.models.hub import find_on_hub

    if arguments.onnx:
        raise OptionError(f"Files of the hub are used as they are, got --onnx for '{arguments.name}'.")
    if not arguments.yes:
        _ask()
    config, paths = find_on_hub(arguments.name, renew=arguments.overwrite)
    reporter.done(f"{config.name} {config.version}, {config.licence}, commit {paths[0].parent.name}")
    reporter.result(arguments.name)


def _ask() -> None:
    """Ask the user for consent to the download.

    Raises:
        OptionError: The user refuses, or there is no terminal.
    """
    if not sys.stdin.isatty():
        raise OptionError("A download needs your consent, and there is no terminal to ask on.", "add --yes")
    sys.stderr.write("Download it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise OptionError("Nothing was downloaded.")


def _finish(model: Model, onnx: bool, reporter: Reporter) -> None:
    """Write the ONNX files if they are wanted, and report the name of the model."""
    name = model.config.name
    if onnx:
        from cleanplate.models.added_models import list_model

        reporter.done("writing files for ONNX Runtime; this takes a minute ...")
        _write_onnx(model)
        list_model(name)
    plate = "" if model.config.needs_plate else "; no plate is needed"
    reporter.done(f"Recognised as {_describe(model)}. Use it with --model {name}{plate}.")
    reporter.result(name)


def _write_onnx(model: Model) -> None:
    from cleanplate.models.load import load_network

    if model.weights is None:
        raise OptionError(f"The model '{model.config.name}' has no weights to write ONNX files from.")
    prefix = model.weights.with_name(model.config.name)
    network = load_network(model)
    if model.config.needs_plate:
        from cleanplate.export.onnx_export import export_onnx

        export_onnx(network, model.config, prefix)
    else:
        from cleanplate.export.recurrent_onnx_export import export_recurrent_onnx

        export_recurrent_onnx(network, model.config, prefix)


def _describe(model: Model) -> str:
    config = model.config
    if config.family == "rvm":
        return f"RVM with {config.backbone} and the {config.guided_filter} guided filter"
    if config.family == "bgmv2":
        refiner = (
            "without refiner"
            if config.refiner_kernel is None
            else f"with a refiner of {config.refiner_kernel}x{config.refiner_kernel} kernels"
        )
        return f"BGMv2 with {config.backbone}, {refiner}"
    return f"a model of this package ({config.family})"


def _remove(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from cleanplate.models.added_models import remove_model

    remove_model(arguments.name)
    reporter.done(f"Removed {arguments.name}.")


def describe_models() -> list[dict[str, Any]]:
    """Every installed model as JSON types, checked against its hash.

    A damaged model that the user has added gets the error as its note.
    """
    from cleanplate.models.home import existing_model_folder
    from cleanplate.models.model_manifest import START_OVER, read_manifest
    from cleanplate.models.registry import DEFAULT_MODEL, EMBEDDED, find_model, list_models

    own = read_manifest(EMBEDDED)
    folder = existing_model_folder()
    added = {} if folder is None else read_manifest(folder, START_OVER)
    found: list[dict[str, Any]] = []
    for name in list_models():
        state = "package" if name in own else "added" if name in added else "plug-in"
        try:
            model = find_model(name)
        except CleanplateError as error:
            if name in own:
                raise
            found.append(_entry(name, state=state, note=str(error)))
            continue
        onnx = model.coarse_onnx or model.recurrent_onnx
        files = [model.coarse_onnx, model.refiner_onnx, model.recurrent_onnx, model.weights]
        config = model.config
        found.append(
            _entry(
                name,
                version=config.version,
                family=config.family,
                default=name == DEFAULT_MODEL,
                state=state,
                needs_plate=config.needs_plate,
                runtimes=[
                    runtime
                    for runtime, path in (("onnx", onnx), ("torch", model.weights))
                    if path is not None
                ],
                megabytes=sum(path.stat().st_size for path in files if path is not None) / 1e6,
                licence=config.licence,
                source=config.source,
                note=config.note,
            )
        )
    return found


def _describe_published(name: str) -> dict[str, Any]:
    """A published model, in the form of :func:`describe_models`."""
    published = CATALOGUE[name]
    recurrent = name.startswith("rvm-")
    return _entry(
        name,
        family="rvm" if recurrent else "bgmv2",
        state="published",
        needs_plate=not recurrent,
        megabytes=float(published.megabytes),
        licence=published.licence,
        source=published.url,
        note=published.what,
    )


def _entry(name: str, **facts: Any) -> dict[str, Any]:
    """Description of a model; unknown facts are empty."""
    empty = {
        "version": "1.0",
        "family": "",
        "default": False,
        "state": "",
        "needs_plate": True,
        "runtimes": [],
        "megabytes": 0.0,
        "licence": "",
        "source": "",
        "note": "",
    }
    return {"name": name, **empty, **facts}
