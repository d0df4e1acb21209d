"""Checks the built site: links lead to a page and an anchor, and no page loads files of other hosts.

Usage: ``python docs/check_site.py site``. Exits with 1 and a line for each fault.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
"""Attributes that a browser fetches without being asked; of an ``a``, only the reader's click does."""

OWN_WORDS = ("canonical", "next", "prev", "alternate")
"""Relations of ``link`` that name a page and load nothing."""


class Page(HTMLParser):
    """Links, loaded addresses and anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "mermaid" in found.get("class", "").split():
            self.loads.append("https://unpkg.com/mermaid")  # the theme's script fetches it for such a block
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADS and LOADS[tag] in found and found.get("rel") not in OWN_WORDS:
            self.loads.append(found[LOADS[tag]])
            self.links.append(found[LOADS[tag]])


def is_elsewhere(address: str) -> bool:
    """Tell whether an address is outside of the site."""
    return bool(urlsplit(address).netloc)


def check_site(site: Path) -> list[str]:
    """List the faults of the pages below ``site``, a sentence each."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    faults = [] if pages else [f"{site} has no pages."]
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        faults += [f"{name} loads {address}." for address in page.loads if is_elsewhere(address)]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                faults.append(f"{name} links to {link}, which is not there.")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                faults.append(f"{name} links to {link}, which has no such anchor.")
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        outside = re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^)\"'\s]+)", text)
        faults += [f"{sheet.relative_to(site)} loads {address}." for address in outside]
    return faults


def main() -> int:
    faults = check_site(Path(sys.argv[1]))
    for fault in faults:
        print(fault)  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
