"""``--model auto``: lite-int8 for ONNX Runtime on a CPU with VNNI, lite elsewhere."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from cleanplate.cli import main
from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.model_resolution import resolve_models
from cleanplate.errors import CleanplateError, ModelError, OptionError
from cleanplate.evaluation.evaluate_cases import open_peer
from cleanplate.jobs.completion import describe_row
from cleanplate.jobs.job import Job
from cleanplate.jobs.plan import describe_job, plan_job
from cleanplate.keyer.keyer import Keyer
from cleanplate.live.session_setup import _KeyerMaker
from cleanplate.media import SourceInfo
from cleanplate.models.model_manifest import list_in_manifest
from cleanplate.models.plugin_models import read_folder
from cleanplate.models.registry import EMBEDDED, find_model
from cleanplate.runtimes import model_choice, selection
from cleanplate.runtimes.model_choice import choose_model, find_model_for
from cleanplate.system.plugins import Plugin
from cleanplate.system.processor import read_cpu_flags
from cleanplate.vocabulary import RUNTIMES, KeyerOptions

SAMPLES = Path(__file__).parents[2] / "samples"
GREY = np.full((64, 96, 3), 90, np.uint8)

SetFlags = Callable[..., None]


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> SetFlags:
    """A machine without a GPU; the function gives its processor's flags."""
    monkeypatch.setattr(selection, "_may_have", lambda place: place == "cpu")
    monkeypatch.setattr(selection, "_may_have_gpu", lambda: False)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])

    def set_flags(*flags: str) -> None:
        monkeypatch.setattr(model_choice, "read_cpu_flags", lambda: frozenset(flags))

    set_flags("avx512_vnni", "avx2")
    return set_flags


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx_vnni\n\nflags\t\t: other\n", {"fpu", "avx_vnni"}),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\n", set()),
        (None, set()),
    ],
    ids=["x86", "ARM", "no file"],
)
def test_flags_are_those_of_the_first_x86_core(text: str | None, flags: set[str], tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    if text is not None:
        (tmp_path / "proc/cpuinfo").write_text(text)
    assert read_cpu_flags(tmp_path) == flags


def test_int8_needs_vnni(cpu: SetFlags) -> None:
    assert choose_model(KeyerOptions()).name == "lite-int8"
    cpu("avx_vnni")
    assert choose_model(KeyerOptions()).reason == "ONNX Runtime on a CPU with avx_vnni"
    cpu("avx2", "avx512f", "asimddp")
    assert choose_model(KeyerOptions()).name == "lite"


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("runtime", ["auto", *RUNTIMES])
def test_int8_is_for_onnx_runtime_alone(runtime: str) -> None:
    expected = "lite-int8" if runtime in ("auto", "onnx") else "lite"
    for device in ("auto", "cpu"):
        choice = choose_model(KeyerOptions(runtime=runtime, device=device))
        assert choice.name == expected
    for place in ({"device": "cuda"}, {"precision": "float32"}, {"runtime": "all"}, {"runtime": "nosuch"}):
        choice = choose_model(KeyerOptions(**{"runtime": runtime, **place}))
        assert choice.name == "lite"


@pytest.mark.usefixtures("cpu")
def test_auto_takes_lite_where_a_gpu_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert choose_model(KeyerOptions()).name == "lite-int8"  # the package for CUDA, on a machine without GPU
    monkeypatch.setattr(selection, "_may_have_gpu", lambda: True)
    assert choose_model(KeyerOptions()).reason == "the network runs with onnx on cuda"
    assert choose_model(KeyerOptions(device="cpu")).name == "lite-int8"


def test_every_user_of_the_options_gets_the_chosen_model(cpu: SetFlags) -> None:
    options = KeyerOptions(model="auto", threads=1)
    keyer = Keyer(GREY, options)
    assert keyer.describe().startswith("lite-int8 ")
    assert keyer._runtime.model == find_model("lite-int8")
    assert find_model_for(KeyerOptions(model="auto", runtime=keyer._runtime)) is keyer._runtime.model
    assert _KeyerMaker({"model": "auto", "threads": 1}).model == find_model("lite-int8")
    assert open_peer("auto", runtime="onnx").name == "lite-int8"
    cpu()
    assert find_model_for(options) == find_model("lite")
    assert _KeyerMaker({"model": "auto", "threads": 1}).model == find_model("lite")


def test_fingerprints_have_the_model_and_not_the_word(cpu: SetFlags, tmp_path: Path) -> None:
    def describe(model: str) -> list[object]:
        clip, out = tmp_path / "clip.mov", tmp_path / "cut.mov"
        job = Job(clip, SAMPLES / "plate.jpg", out, keyer=KeyerOptions(model=model))
        fingerprint = describe_job(job, plan_job(job), SourceInfo(clip, 64, 96))
        return [fingerprint, describe_row(job, (out,))]

    int8, plain = describe("lite-int8"), describe("lite")
    assert int8 != plain
    assert describe("auto") == int8
    cpu("avx2")
    assert describe("auto") == plain


@pytest.mark.usefixtures("cpu")
def test_rows_are_sent_with_the_choice_of_the_machine_that_reads_them() -> None:
    def row(number: int, **given: str) -> ManifestRow:
        common = {"model": "auto", "runtime": "auto", "device": "auto", "precision": "auto"}
        return ManifestRow(number, "clip", Namespace(**{**common, **given}))

    broken = ManifestRow(5, "clip", OptionError("Something is wrong."))
    told: list[str] = []
    rows = [row(2), row(3), row(4, runtime="torch"), broken, row(6, model="mine")]
    sent = resolve_models(rows, told.append)
    models = [None if isinstance(each.arguments, CleanplateError) else each.arguments.model for each in sent]
    assert models == ["lite-int8", "lite-int8", "lite", None, "mine"]
    assert rows[0].arguments.model == "auto"
    assert told == [
        "The model is lite-int8: ONNX Runtime on a CPU with avx512_vnni.",
        "The model is lite: int8 runs on ONNX Runtime only, the runtime is torch.",
    ]


@pytest.mark.usefixtures("cpu")
def test_image_tells_the_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plate = str(SAMPLES / "plate.jpg")
    photo = str(SAMPLES / "photo.jpg")
    command = ["image", photo, "--plate", plate, "--scale", "auto"]
    for model in ("auto", "lite-int8"):
        assert main([*command, "-o", str(tmp_path / f"{model}.png"), "--model", model]) == 0
    assert (
        capsys.readouterr().err.count("The model is lite-int8: ONNX Runtime on a CPU with avx512_vnni.") == 1
    )
    assert (tmp_path / "auto.png").read_bytes() == (tmp_path / "lite-int8.png").read_bytes()


@pytest.mark.usefixtures("cpu")
def test_bench_takes_auto(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "--size", "160x90", "--frames", "1", "--workers", "1", "--json", "--model", "auto"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["setup"].startswith("lite-int8 ")


def test_doctor_tells_the_choice_and_its_reason(cpu: SetFlags, capsys: pytest.CaptureFixture[str]) -> None:
    cpu()
    assert main(["doctor"]) == 0
    assert "--model auto takes lite: no VNNI was found on this processor" in capsys.readouterr().out


def test_no_model_can_have_the_name_auto(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'auto' is no model") as caught:
        find_model("auto")
    assert "lite-int8" in caught.value.hint
    with pytest.raises(ModelError, match="cannot be named 'auto'"):
        list_in_manifest(tmp_path, "auto")
    listed = json.loads((EMBEDDED / "manifest.json").read_text())
    listed["models"] = {"auto": listed["models"]["lite"]}
    (tmp_path / "manifest.json").write_text(json.dumps(listed))
    plugin = Plugin("model", "some", "package 1.0", "package:folder")
    with pytest.raises(CleanplateError, match="'auto'"):
        read_folder(plugin, lambda: tmp_path)
