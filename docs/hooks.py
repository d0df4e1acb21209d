"""Hook of mkdocs: adapts pages of the repository to the site."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parents[1]
REPOSITORY_FILE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")
ROLE = re.compile(r":(?:class|func|meth|attr|mod|data|exc):<code>~?([\w.]+)</code>")
DIRECTIVE = re.compile(r"^::: (cleanplate[\w.]*)$", re.M)


def public_names(module: str) -> list[str]:
    """The ``__all__`` of a package, read without importing it."""
    tree = ast.parse((ROOT / "src" / Path(*module.split(".")) / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    raise ValueError(f"{module} has no __all__")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """List exactly the public names of a room; write links to files of the repository as names."""

    def members(found: re.Match[str]) -> str:
        names = [name for name in public_names(found[1]) if name != "__version__"]
        lines = [
            f"::: {found[1]}",
            "    options:",
            "      show_root_heading: false",
            "      show_root_toc_entry: false",
            "      members:",
            *(f"        - {name}" for name in names),
        ]
        return "\n".join(lines)

    markdown = DIRECTIVE.sub(members, markdown)
    return REPOSITORY_FILE.sub(r"`\1`", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Make links of the roles in docstrings (``:class:``, ``:func:``) whose target has a page."""

    def link(found: re.Match[str]) -> str:
        name = found[1]
        if not name.startswith("cleanplate."):
            return f"<code>{name}</code>"
        return f'<autoref optional identifier="{name}"><code>{name}</code></autoref>'

    return ROLE.sub(link, html)


def on_post_build(config: Any) -> None:
    """Refuse a site whose API pages lack a public name, as of one without a docstring."""
    for source in sorted((ROOT / "docs/api").glob("*.md")):
        found = DIRECTIVE.search(source.read_text(encoding="utf-8"))
        if found is None:
            raise PluginError(f"{source} has no line '::: cleanplate...'.")
        page = Path(config["site_dir"], "api", f"{source.stem}.html").read_text(encoding="utf-8")
        names = [name for name in public_names(found[1]) if name != "__version__"]
        missing = [name for name in names if f'id="{found[1]}.{name}"' not in page]
        if missing:
            raise PluginError(f"{source} does not show {', '.join(missing)}: is there a docstring?")
