"""The web page served beside the interface: its files, and no others."""

from __future__ import annotations

import contextlib
import http.client
import sys
from urllib.parse import urlsplit

import pytest
from tests.cli.service.running import run_service

from cleanplate.cli import main


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """A function that sends a path as it is."""
    here = tmp_path_factory.mktemp("page")
    folder = here / "dist"
    (folder / "engine").mkdir(parents=True)
    (folder / "index.html").write_text("<html><head></head><body>page</body></html>")
    (folder / "engine/engine.json").write_text("{}")
    (here / "secret.txt").write_text("secret")
    if sys.platform != "win32":
        (folder / "link.txt").symlink_to(here / "secret.txt")
    with run_service(here, "--page", str(folder), "--workers", "1") as running:

        def send(path, method="GET"):
            place = urlsplit(running.url).netloc
            with contextlib.closing(http.client.HTTPConnection(place, timeout=300)) as connection:
                connection.request(method, path)
                answer = connection.getresponse()
                return answer.status, answer.headers, answer.read().decode()

        yield send


def test_the_page_names_its_service(ask):
    for path in ("/", "/index.html"):
        status, headers, text = ask(path)
        assert status == 200
        assert '<meta name="cleanplate-service" content="token"></head>' in text
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert ask("/engine/engine.json")[2] == "{}"
    assert ask("/", "HEAD")[0] == 200
    assert ask("/healthz")[0] == 200
    assert ask("/v1/jobs/x")[0] == 401


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/engine/..%2f..%2fsecret.txt", "/..%5csecret.txt", "/link.txt",
     "//etc/passwd", "/%00", "/missing"],
)  # fmt: skip
def test_no_path_leads_out_of_the_page(ask, path):
    status, _, text = ask(path)
    assert status == 404
    assert "secret" not in text


def test_a_folder_without_a_page_is_refused(tmp_path, capsys):
    assert main(["serve", "--page", str(tmp_path), "--folder", str(tmp_path / "service")]) == 2
    assert "index.html is missing" in capsys.readouterr().err
