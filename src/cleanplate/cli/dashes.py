"""Names of files that begin with a dash."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from cleanplate.errors import OptionError

_NAME = re.compile(r"-[^\W\d].*\.[^\W\d]\w*")


def check_dashes(arguments: Sequence[str]) -> None:
    """Refuse ``-name.mp4``, which would be parsed as an option.

    Raises:
        OptionError: An argument with a leading dash is an existing file, or has an extension.
    """
    for argument in arguments:
        if argument == "--":
            return
        if not argument.startswith("-") or len(argument) < 3 or "=" in argument:
            continue
        # -oresult.mov is -o with its value.
        looks_so = _NAME.fullmatch(argument) is not None and not argument.startswith(("-o", "--"))
        if looks_so or os.path.isfile(argument):  # noqa: PTH113 - pathlib raises where nothing may be searched
            raise OptionError(
                f"'{argument}' begins with a dash, which makes it an option.",
                f"write ./{argument}, or -- before CLIP or PHOTO",
            )
