"""Downloads from a local server: interrupted, resumed, changed during the download."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleanplate.errors import ModelError, UnavailableError
from cleanplate.models.download import ATTEMPTS, RECORDS, download

CONTENT = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; disconnects after ``limit`` bytes, ``breaks`` times."""

    content = CONTENT
    breaks = 0
    limit = 300_000
    knows_ranges = True
    etag: str | None = '"one"'

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/release/weights.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if not self.path.endswith("weights.pth"):
            self.send_error(404)
            return
        start = 0
        if wanted and server.knows_ranges and self.headers.get("If-Range") == server.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if start >= len(server.content):
            self.send_error(416)
            return
        rest = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            rest = rest[: server.limit]
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_is_downloaded_and_its_hash_recorded(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = download(server.url, tmp_path / "new", on_bytes=lambda *numbers: told.append(numbers))
    assert path == tmp_path / "new" / "weights.pth"
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(entry.name for entry in path.parent.iterdir()) == [RECORDS, "weights.pth"]
    record = json.loads((path.parent / RECORDS).read_text())[server.url]
    assert record == {"sha256": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}


def test_a_broken_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    assert download(server.url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_a_failed_download_is_resumed_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.breaks, server.limit = ATTEMPTS, 1000
    with pytest.raises(UnavailableError, match=r"broke 4 times.*4000 of 1024000"):
        download(server.url, tmp_path)
    assert not (tmp_path / "weights.pth").exists()
    assert download(server.url, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=4000-"


def test_parts_of_a_changed_file_are_not_joined(server: Server, tmp_path: Path) -> None:
    server.breaks, server.limit = ATTEMPTS, 1000
    with pytest.raises(UnavailableError):
        download(server.url, tmp_path)
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert download(server.url, tmp_path).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("change", ["knows_ranges", "etag"])
def test_servers_without_ranges_start_over(server: Server, tmp_path: Path, change: str) -> None:
    setattr(server, change, None)
    server.breaks = 1
    assert download(server.url, tmp_path).read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.partial").write_bytes(CONTENT + b"more")
    (tmp_path / "weights.pth.partial.version").write_text('"one"')
    assert download(server.url, tmp_path).read_bytes() == CONTENT


def test_another_file_under_the_same_address_is_refused(server: Server, tmp_path: Path) -> None:
    download(server.url, tmp_path).unlink()
    server.content, server.etag = b"something else", '"two"'
    with pytest.raises(ModelError, match=r"differs from the first download"):
        download(server.url, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [RECORDS]
    server.content = CONTENT
    assert download(server.url, tmp_path).read_bytes() == CONTENT


def test_a_missing_file_and_a_missing_server_are_errors(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"answered 404"):
        download(server.url.replace("weights", "missing"), tmp_path)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 cannot be reached: connection refused\."):
        download("http://127.0.0.1:1/x.pth", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_list_of_hashes_is_an_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / RECORDS).write_text("[")
    with pytest.raises(ModelError, match="list of downloads"):
        download(server.url, tmp_path)
