"""Archives with the interface of BGMv2's authors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cleanplate.errors import ModelError  # noqa: E402
from cleanplate.export.export_options import ExportOptions  # noqa: E402
from cleanplate.export.parity import key_with, read_pair  # noqa: E402
from cleanplate.export.single_file import padding_multiple  # noqa: E402
from cleanplate.export.write import export_model  # noqa: E402
from cleanplate.frame import Padding  # noqa: E402
from cleanplate.models.registry import find_model  # noqa: E402
from cleanplate.router import Refine  # noqa: E402
from cleanplate.runtimes import open_runtime  # noqa: E402
from cleanplate.runtimes.torchscript_runtime import load_archive, quiet_torchscript  # noqa: E402


@pytest.fixture(scope="module", params=["lite", "bgmv2-3", "bgmv2-1"])
def archive(request: pytest.FixtureRequest, open_model, tmp_path_factory: pytest.TempPathFactory):
    model = open_model(request.param)
    path = tmp_path_factory.mktemp("archives") / "x.pt"
    _, difference = export_model(model, "torchscript", path)
    assert difference.passes
    return model, path


def test_settings_can_be_changed_after_loading(archive) -> None:
    model, path = archive
    script = load_archive(path)
    reference = open_runtime(model, "torch", "cpu")
    for size, scale, refine in (
        ((112, 150), 0.5, Refine("sampling", 2000)),
        ((101, 67), 0.25, Refine("threshold", 0.3)),
        ((64, 96), 0.5, Refine("full")),
        ((64, 96), 0.5, Refine("off")),
    ):
        script.backbone_scale = scale
        script.refine_mode = "thresholding" if refine.mode == "threshold" else refine.mode
        script.refine_sample_pixels = 2000
        script.refine_threshold = 0.3
        pair = read_pair(size)
        src, bgr = (torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255 for x in pair)
        with torch.inference_mode():
            pha, fgr, pha_sm, fgr_sm, err_sm, ref_sm = script(src, bgr)
        padding = Padding.of(*size, padding_multiple(model.config, scale))
        alpha, foreground = key_with(reference, *(padding.pad(x) for x in pair), scale, refine)
        np.testing.assert_allclose(pha[0, 0], padding.crop(alpha), atol=1e-4)
        np.testing.assert_allclose(fgr[0].permute(1, 2, 0), padding.crop(foreground), atol=1e-4)
        assert pha_sm.shape[2:] == fgr_sm.shape[2:] == err_sm.shape[2:]
        assert ref_sm.shape == (1, 1, *(side // 4 for side in padding.padded_size))
        share = float(ref_sm.mean())
        assert share == {"full": 1, "off": 0}.get(refine.mode, share)
        if refine.mode == "sampling":
            assert 0 < float(ref_sm.sum()) <= 2000 // 16


def test_the_archive_runs_in_every_pytorch_runtime(archive) -> None:
    model, path = archive
    found = find_model(path)
    assert found.config == model.config
    pair = read_pair((64, 96))
    expected = key_with(open_runtime(model, "torch", "cpu"), *pair, 0.5, Refine("full"))
    for runtime in ("torch", "torchscript"):
        keyed = key_with(open_runtime(found, runtime, "cpu"), *pair, 0.5, Refine("full"))
        np.testing.assert_allclose(keyed[0], expected[0], atol=1e-4)
        np.testing.assert_allclose(keyed[1], expected[1], atol=1e-4)


def test_an_archive_of_half_precision_passes_parity(open_model, tmp_path: Path) -> None:
    (path,), difference = export_model(
        open_model("lite"),
        "torchscript",
        tmp_path / "half.pt",
        ExportOptions(half=True, size=(128, 160), scale=0.5),
    )
    assert difference.passes
    assert difference.bound == 1e-2
    with quiet_torchscript():
        script = torch.jit.load(path)
    assert {parameter.dtype for parameter in script.parameters()} == {torch.float16}
    assert script(*torch.rand(2, 1, 3, 64, 64).half())[0].dtype == torch.float16


def test_an_archive_with_a_damaged_record_is_refused(open_model, tmp_path: Path) -> None:
    (path,), _ = export_model(
        open_model("lite"), "torchscript", tmp_path / "x.pt", ExportOptions(size=(64, 64))
    )
    content = path.read_bytes()
    assert content.count(b'"family": "lite"') == 1
    path.write_bytes(content.replace(b'"family": "lite"', b'"family": "late"'))
    with pytest.raises(ModelError, match=r"x\.pt"):
        find_model(path)
