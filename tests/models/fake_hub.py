"""A hub on this machine: the three requests by which ``huggingface_hub`` fetches a snapshot."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

_API = re.compile(r"/api/models/(?P<repo>[\w.-]+/[\w.-]+)/(?P<kind>revision|tree)/(?P<revision>[^/?]+)")
_FILE = re.compile(r"/(?P<repo>[\w.-]+/[\w.-]+)/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)")


class FakeHub(ThreadingHTTPServer):
    """Repositories with commits, and revisions that name them.

    Attributes:
        commits: Folder of each commit, whose name is 40 hexadecimal digits.
        revisions: Commit by repository and revision.
        asked: Requests so far.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commits: dict[str, Path] = {}
        self.revisions: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def push(self, repository: str, folder: Path, *revisions: str) -> str:
        """Add a commit of a folder's files, and let the revisions name it."""
        content = b"".join(path.name.encode() + path.read_bytes() for path in sorted(folder.iterdir()))
        commit = hashlib.sha1(content).hexdigest()
        self.commits[commit] = folder
        for revision in (*revisions, commit):
            self.revisions[repository, revision] = commit
        return commit


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(self.path)
        self.server.asked.append(f"{self.command} {path}")
        api, file = _API.match(path), _FILE.match(path)
        match = api or file
        if match is None:
            self._send(404, b"")
            return
        commit = self.server.revisions.get((match["repo"], match["revision"]))
        if commit is None:
            known = any(repository == match["repo"] for repository, _ in self.server.revisions)
            self._send(404, b"", **{"X-Error-Code": "RevisionNotFound" if known else "RepoNotFound"})
        elif api:
            self._tell(api, commit)
        else:
            content = (self.server.commits[commit] / match["file"]).read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self._send(200, content, **{"X-Repo-Commit": commit, "ETag": etag})

    def _tell(self, api: re.Match[str], commit: str) -> None:
        files = sorted(self.server.commits[commit].iterdir())
        if api["kind"] == "revision":
            names = [{"rfilename": path.name} for path in files]
            body: object = {"id": api["repo"], "modelId": api["repo"], "sha": commit, "siblings": names}
        else:
            body = [
                {
                    "type": "file",
                    "path": path.name,
                    "size": path.stat().st_size,
                    "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
                }
                for path in files
            ]
        self._send(200, json.dumps(body).encode(), **{"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()
