"""Dockerfiles, compose, devcontainer: read, because no engine runs in the tests; the install step is run."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cleanplate.cli import build_parser

ROOT = Path(__file__).parents[1]
FILES = ("Dockerfile", "Dockerfile.cuda")
BASE_MB = 130
"""Size of python:3.12-slim-bookworm, unpacked: assumed, because no image can be loaded in the tests."""

pytestmark = pytest.mark.skipif(
    not (ROOT / "Dockerfile").is_file(), reason="the package without the repository"
)


def instructions(name):
    """The instructions of a Dockerfile with their arguments, in order; continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def last(name, instruction):
    return [argument for word, argument in instructions(name) if word == instruction][-1]


def is_sent(path):
    """Tell whether ``.dockerignore`` includes a file of the repository; the last matching rule decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.lstrip("!").removeprefix("**/")
        if any(fnmatch.fnmatch(part, pattern) for part in (path, *path.split("/"))):
            sent = rule.startswith("!")
    return sent


@pytest.mark.parametrize("name", FILES)
def test_every_copied_file_exists_in_the_build_context(name):
    copied = [argument.split() for word, argument in instructions(name) if word == "COPY"]
    sources = [source for words in copied if not words[0].startswith("--from") for source in words[:-1]]
    assert {"pyproject.toml", "src", "README.md", "LICENSE", "NOTICE"} == set(sources)
    for source in sources:
        assert (ROOT / source).exists()
        assert is_sent(source)
    assert not any(
        map(is_sent, ("tests", ".git", "samples", "docs", "web", "src/cleanplate/__pycache__/x.pyc"))
    )


@pytest.mark.parametrize("name", FILES)
def test_the_image_runs_the_service_without_privileges(name):
    assert {word for word, _ in instructions(name)} <= {
        *(
            "FROM",
            "RUN",
            "COPY",
            "WORKDIR",
            "ENV",
            "USER",
            "VOLUME",
            "EXPOSE",
            "HEALTHCHECK",
            "ENTRYPOINT",
            "CMD",
        ),
    }
    assert last(name, "USER") == "10001"
    assert last(name, "FROM") == "base"
    command = json.loads(last(name, "ENTRYPOINT")) + json.loads(last(name, "CMD"))
    arguments = build_parser().parse_args(command[1:])
    assert (arguments.host, arguments.port) == ("0.0.0.0", int(last(name, "EXPOSE")))
    assert str(arguments.folder).startswith(last(name, "VOLUME") + "/")
    check = json.loads(last(name, "HEALTHCHECK").partition(" CMD ")[2])
    compile(check[2], "check", "exec")
    assert f":{arguments.port}/healthz" in check[2]


def test_the_two_images_differ_in_their_extras_only():
    extras = {
        name: re.findall(r"'\.\[([\w,]+)\]'", (ROOT / name).read_text(encoding="utf-8")) for name in FILES
    }
    assert extras == {"Dockerfile": ["serve"], "Dockerfile.cuda": ["serve,torch"]}


def test_the_compose_file_is_valid():
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"cleanplate", "cleanplate-cuda"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["environment"]["CLEANPLATE_TOKEN"].startswith("${CLEANPLATE_TOKEN:?")
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        build = service["build"]
        assert (ROOT / ("Dockerfile" if build == "." else build["dockerfile"])).is_file()


def test_the_devcontainer_is_a_stage_of_the_image():
    file = ROOT / ".devcontainer/devcontainer.json"
    build = json.loads(file.read_text(encoding="utf-8"))["build"]
    assert (file.parent / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert f"base AS {build['target']}" in [
        argument for word, argument in instructions("Dockerfile") if word == "FROM"
    ]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_install_step_installs_a_service(tmp_path):
    """The step of the build stage, on the copied files alone; then the health check."""
    source, place = tmp_path / "source", tmp_path / "cleanplate"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (step,) = (
        argument
        for word, argument in instructions("Dockerfile")
        if word == "RUN" and "pip install" in argument
    )
    step = step.replace("/opt/cleanplate", shlex.quote(str(place))).replace(
        "python -m venv", f"{sys.executable} -m venv"
    )
    subprocess.run(["bash", "-euc", step], cwd=source, check=True)
    packages = next(place.glob("lib/python*/site-packages"))
    size = sum(
        path.stat().st_size for path in packages.rglob("*") if path.is_file() and not path.is_symlink()
    )
    assert size / 1e6 + BASE_MB < 700
    environment = {"PATH": f"{place}/bin:{os.environ['PATH']}", "CLEANPLATE_TOKEN": "a-token-for-the-tests-1"}
    command = [
        "cleanplate",
        "serve",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        "--folder",
        str(tmp_path / "data/service"),
    ]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd="/") as process:
        try:
            port = process.stdout.readline().strip().rpartition(":")[2]
            check = json.loads(last("Dockerfile", "HEALTHCHECK").partition(" CMD ")[2])
            check[2] = check[2].replace("8750", port)
            subprocess.run(check, env=environment, check=True)
        finally:
            process.terminate()
            assert process.wait(60) == 0
