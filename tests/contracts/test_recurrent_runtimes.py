"""Contract of the runtimes for models without a plate."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.errors import ModelError, OptionError
from cleanplate.models.registry import Model
from cleanplate.runtimes import open_recurrent_runtime, open_runtime


@pytest.fixture(params=["onnx", "torch"])
def runtime(request, tiny_recurrent_model):
    return open_recurrent_runtime(tiny_recurrent_model, request.param, "cpu", threads=1)


def noise(seed, *shape, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("size", "ratio"), [((48, 64), 1.0), ((75, 101), 0.6), ((33, 40), 0.5)])
def test_shapes_and_types(runtime, dtype, size, ratio):
    keyed = runtime.key(noise(1, 2, *size, 3, dtype=dtype), None, ratio)
    assert keyed.alpha.shape == (2, *size)
    assert keyed.alpha.dtype == np.float32
    assert keyed.alpha.std() > 0.01
    assert (keyed.alpha.min(), keyed.alpha.max()) >= (0, 0)
    assert keyed.alpha.max() <= 1
    assert keyed.foreground.shape == (2, *size, 3)
    assert keyed.foreground.dtype == dtype


@pytest.mark.parametrize("ratio", [1.0, 0.6])
def test_frames_at_once_equal_frames_one_by_one(runtime, ratio):
    frames = noise(2, 3, 40, 56, 3)
    whole = runtime.key(frames, None, ratio)
    state, alone = None, []
    for frame in frames:
        keyed = runtime.key(frame[None], state, ratio)
        state = keyed.state
        alone.append(keyed.alpha[0])
    np.testing.assert_allclose(np.stack(alone), whole.alpha, atol=1e-5)
    other = runtime.key(frames[2:], None, ratio)
    assert np.abs(other.alpha[0] - whole.alpha[2]).max() > 1e-3  # the memory counts


def test_inputs_are_unchanged_and_equal_inputs_give_equal_outputs(runtime):
    frames = noise(3, 1, 40, 56, 3)
    before = frames.copy()
    first = runtime.key(frames, None, 0.5)
    keyed = [runtime.key(frames, first.state, 0.5) for _ in range(2)]
    assert np.array_equal(frames, before)
    assert np.array_equal(keyed[0].alpha, keyed[1].alpha)
    assert np.array_equal(keyed[0].foreground, keyed[1].foreground)


@pytest.mark.parametrize(("size", "ratio"), [((48, 64), 1.0), ((75, 101), 0.6), ((61, 83), 0.37)])
def test_the_runtimes_agree(tiny_recurrent_model, size, ratio):
    frames = noise(4, 2, *size, 3)
    mattes = [
        open_recurrent_runtime(tiny_recurrent_model, name, "cpu", 1).key(frames, None, ratio)
        for name in ("onnx", "torch")
    ]
    np.testing.assert_allclose(mattes[0].alpha, mattes[1].alpha, atol=1e-4)
    differences = np.abs(mattes[0].foreground.astype(int) - mattes[1].foreground.astype(int))
    assert differences.max() <= 1


def test_a_runtime_with_a_plate_is_refused_for_recurrent_models(tiny_recurrent_model):
    with pytest.raises(OptionError, match="'tiny-rvm' works without a plate"):
        open_runtime(tiny_recurrent_model)


def test_missing_and_wrong_files_are_refused(tiny_recurrent_model, tiny_model):
    config = tiny_recurrent_model.config
    with pytest.raises(ModelError, match="has no ONNX file"):
        open_recurrent_runtime(Model(config, weights=tiny_recurrent_model.weights), "onnx", "cpu")
    with pytest.raises(ModelError, match="no network of this package"):
        open_recurrent_runtime(Model(config, recurrent_onnx=tiny_model.coarse_onnx), "onnx", "cpu")
    with pytest.raises(ModelError, match="no weights"):
        open_recurrent_runtime(
            Model(config, recurrent_onnx=tiny_recurrent_model.recurrent_onnx), "torch", "cpu"
        )
    automatic = open_recurrent_runtime(Model(config, weights=tiny_recurrent_model.weights))
    assert automatic.name == "torch"
