"""One option: a field of a frozen dataclass with everything that the command line needs beside its type."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from cleanplate.errors import OptionError, spell

Function = TypeVar("Function", bound=Callable[..., Any])
Options = TypeVar("Options", bound=Any)


@dataclass(frozen=True)
class Flag:
    """An option on the command line.

    Attributes:
        name: With its dashes, ``--matte-choke``. A switch that is on by default is named ``--no-...``.
        help: Begins with a verb or a noun and names the unit; ``{default}`` is replaced.
        short: A second, short spelling.
        words: Allowed words; None: any text or number.
        metavar: Placeholder in the help.
        group: Title of its group in the help; None: the first one, for the options used most.
        video: Whether ``cleanplate image`` lacks it.
        several: Whether it takes several words.
        one_or_several: Whether it takes several words, but is no list if one is given.
        type: Converts the text of an argument; ValueError for a wrong one.
        parse: Converts the argument when the options are collected, as ``module:attribute``. It is imported
            when the option is used, and its errors are raised as they are.
        path: ``always`` for an output file, ``if it exists`` for text that may name a file to read.
        needs: Field of the same options without which this one has no effect, for :func:`check_needs`; or
            ``plate``, which a keyer without a plate refuses.
    """

    name: str
    help: str
    short: str | None = None
    words: tuple[str, ...] | None = None
    metavar: str | None = None
    group: str | None = None
    video: bool = False
    several: bool = False
    one_or_several: bool = False
    type: Callable[[str], Any] | None = None
    parse: str | None = None
    path: str | None = None
    needs: str | None = None

    @property
    def column(self) -> str:
        """Column of a manifest."""
        return self.name.removeprefix("--")

    @property
    def attribute(self) -> str:
        """Attribute of the parsed arguments."""
        return self.column.replace("-", "_")

    def read(self, value: Any) -> Any:
        """Value of the field for a parsed argument.

        Raises:
            CleanplateError: The text has no such meaning.
        """
        if self.name.startswith("--no-"):
            return not value
        if self.several and value is not None:
            return tuple(value)
        if self.parse is None or value is None:
            return value
        module, _, path = self.parse.partition(":")
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        return found(value)


def option(
    default: Any,
    name: str | None = None,
    help: str = "",  # noqa: A002 - argparse's own word
    *,
    fingerprint: bool = True,
    **details: Any,
) -> Any:
    """A field that is an option.

    Args:
        default: Default of the field.
        name: Flag on the command line; None: only Python has the option.
        help: Help text of the flag.
        fingerprint: Whether the option distinguishes one job from another when a job is resumed.
        details: Further fields of :class:`Flag`.
    """
    metadata: dict[str, Any] = {"fingerprint": fingerprint}
    if name is not None:
        metadata["flag"] = Flag(name, help, **details)
    return dataclasses.field(default=default, metadata=metadata)


def takes_options(*options: type[Any], without: Collection[str] = ()) -> Callable[[Function], Function]:
    """Show the fields of the options in the signature of a function that takes them as ``**keywords``."""

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        keywords = [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=default_of(field), annotation=field.type
            )
            for kind in options
            for field in dataclasses.fields(kind)
            if field.name not in signature.parameters and field.name not in without
        ]
        vars(function)["__signature__"] = signature.replace(parameters=[*own, *keywords])
        return function

    return decorate


def replace_options(call: str, options: Options, keywords: Mapping[str, Any]) -> Options:
    """Options with some values replaced by keyword arguments.

    Args:
        call: Name of the function or class, for the error.
        options: An object of options, a frozen dataclass.
        keywords: The new value of each field.

    Raises:
        OptionError: A keyword is no field.
    """
    known = [field.name for field in dataclasses.fields(options)]
    for name in keywords:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise OptionError(f"{call} has no argument '{name}'.", hint)
    return dataclasses.replace(options, **keywords)


def needing(options: Any, needed: str) -> list[str]:
    """Fields of the options that have another value than their default, and no effect without this one."""
    return [
        field.name
        for field in dataclasses.fields(options)
        if "flag" in field.metadata
        and field.metadata["flag"].needs == needed
        and _is_set(getattr(options, field.name), default_of(field))
    ]


def check_needs(options: Any) -> None:
    """Refuse an option that has no effect without another one of the same object, which is None.

    Raises:
        OptionError: There is one.
    """
    flags = flags_of(type(options))
    for needed, flag in flags.items():
        if getattr(options, needed) is None:
            for name in needing(options, needed):
                asked = flags[name].name
                raise OptionError(
                    f"{spell(asked)} has no effect without {spell(flag.name)}.",
                    f"give {flag.name}, or leave out {asked}",
                )


def _is_set(value: Any, default: Any) -> bool:
    """Tell whether a value is another than the default; an array, whose default is None, always is."""
    return value is not None if default is None else bool(value != default)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Default of a field."""
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def flags_of(options: type[Any]) -> Mapping[str, Flag]:
    """Flags of a class of options by field, in the order of the fields."""
    found = {field.name: field.metadata.get("flag") for field in dataclasses.fields(options)}
    return {name: flag for name, flag in found.items() if flag is not None}
