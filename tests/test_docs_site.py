"""The documentation's own checks: the check of the site finds faults, and each room has its page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from tests.test_public_names import ROOMS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def check_site():
    spec = importlib.util.spec_from_file_location("check_site", ROOT / "docs/check_site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.check_site


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other.html#here">x</a>', None),
        ('<a href="https://example.org/">x</a>', None),
        ('<a href="gone.html">x</a>', "gone.html, which is not there"),
        ('<a href="other.html#gone">x</a>', "no such anchor"),
        ('<img src="gone.png">', "gone.png, which is not there"),
        ('<script src="https://example.org/a.js"></script>', "loads https://example.org/a.js"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "loads //example.org/a.css"),
        ('<pre class="mermaid">a</pre>', "loads https://unpkg.com/mermaid"),
    ],
)
def test_faults_of_a_page(check_site, tmp_path, body, fault):
    (tmp_path / "index.html").write_text(body, encoding="utf-8")
    (tmp_path / "other.html").write_text('<h1 id="here">Here</h1>', encoding="utf-8")
    faults = check_site(tmp_path)
    assert len(faults) == (fault is not None)
    assert fault is None or fault in faults[0]


def test_a_style_sheet_that_loads_a_font(check_site, tmp_path):
    (tmp_path / "index.html").write_text("", encoding="utf-8")
    (tmp_path / "a.css").write_text("@font-face { src: url(https://example.org/a.woff2) }", encoding="utf-8")
    assert check_site(tmp_path) == ["a.css loads https://example.org/a.woff2."]


def test_a_folder_without_pages_is_a_fault(check_site, tmp_path):
    assert check_site(tmp_path)


def test_every_room_has_a_page_of_the_api():
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs/api").glob("*.md")]
    documented = {page.partition("::: ")[2].split()[0] for page in pages}
    assert documented == {"cleanplate", *(f"cleanplate.{room}" for room in ROOMS)}


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if page not in navigation} == set()
