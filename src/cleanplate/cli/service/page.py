"""The built web page as static files beside the interface, without a token: it is public."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

HEADERS = {
    # Threads in the page need isolation.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}


class WebPage(StaticFiles):
    """Files of the page; no path or link leads out of their folder.

    A tag in ``index.html`` tells the page that it may offer this service for clips.

    Args:
        folder: With ``index.html``.
        needs_token: Whether the service's requests need a token.
    """

    def __init__(self, folder: Path, *, needs_token: bool) -> None:
        super().__init__(directory=folder, html=True)
        self._index = folder / "index.html"
        self._access = "token" if needs_token else "open"

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file; the page itself gets the tag."""
        response = await super().get_response(path, scope)
        if path in (".", "index.html") and response.status_code == 200:
            tag = f'<meta name="cleanplate-service" content="{self._access}">'
            text = self._index.read_text(encoding="utf-8").replace("</head>", f"{tag}</head>", 1)
            response = HTMLResponse("" if scope["method"] == "HEAD" else text)
        response.headers.update(HEADERS)
        return response

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Find a file; names with a NUL, which the system refuses, are none."""
        return ("", None) if "\0" in path else super().lookup_path(path)
