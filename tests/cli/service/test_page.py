"""The web page served beside the interface: its files, and no others."""

from __future__ import annotations

import os
import sys

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from cleanplate.cli import main
from cleanplate.cli.service.page import WebPage


@pytest.fixture
def opened(tmp_path):
    folder = tmp_path / "dist"
    (folder / "engine").mkdir(parents=True)
    (folder / "index.html").write_text("<html><head></head><body>page</body></html>")
    (folder / "engine/engine.json").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    if sys.platform != "win32":
        os.symlink(tmp_path / "secret.txt", folder / "link.txt")
    app = Starlette()
    app.mount("/", WebPage(folder, needs_token=True))
    return TestClient(app)


def test_the_page_names_its_service(opened):
    for path in ("/", "/index.html"):
        answer = opened.get(path)
        assert '<meta name="cleanplate-service" content="token"></head>' in answer.text
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert opened.get("/engine/engine.json").text == "{}"
    assert opened.head("/").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/engine/..%2f..%2fsecret.txt", "/..%5csecret.txt", "/link.txt",
     "//etc/passwd", "/%00", "/missing"],
)  # fmt: skip
def test_no_path_leads_out_of_the_page(opened, path):
    answer = opened.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_a_folder_without_a_page_is_refused(tmp_path, capsys):
    assert main(["serve", "--page", str(tmp_path), "--folder", str(tmp_path / "service")]) == 2
    assert "index.html is missing" in capsys.readouterr().err
