# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Every engine runs an exported stream like the unrolled network, and keeps streams apart."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import paddletsm
from paddletsm.deploy import online_engine, read_artefact, verify_ways
from paddletsm.deploy.artefact import write_artefact
from paddletsm.deploy.engine import EngineOptions
from paddletsm.deploy.engines import ENGINES, is_installed
from paddletsm.deploy.online_engine import (
    OnlineEngine,
    choose_online_engine,
    make_online_engine,
)
from paddletsm.deploy.verify import Eager, verify_artefact
from paddletsm.deploy.verify_ways import missing_ways
from paddletsm.errors import ConfigError, DataError, ExportError
from paddletsm.models import MobileNetV2TSM, Recognizer2D, ResNet, ResNetTSM, TSMHead
from paddletsm.models.backbone import Backbone
from tests.unit.deploy.conftest import LABELS, NUM_SEG, SIZE, make_model
from tests.unit.deploy.test_online_export import eager, export

NETWORKS: dict[str, Callable[[], Backbone]] = {
    "r18-block": lambda: ResNetTSM(18, 0.125, NUM_SEG, shift_mode="online", shift_place="block"),
    "r50": lambda: ResNetTSM(50, 0.125, NUM_SEG, shift_mode="online"),
    "mobilenetv2": lambda: MobileNetV2TSM(0.5, NUM_SEG, shift_mode="online"),
    "no shift": lambda: ResNet(18, 0.125, NUM_SEG),
}
FORMATS = ("pdmodel", "onnx")


def with_head(backbone: Backbone) -> Recognizer2D:
    """Logits of about 1."""
    model = Recognizer2D(backbone, TSMHead(len(LABELS), backbone.out_channels, std=0.05))
    model.eval()
    scale = float(np.abs(eager(model, random_frames())).max())
    model.head.fc.weight.set_value(model.head.fc.weight / scale)
    model.head.fc.bias.set_value(model.head.fc.bias / scale)
    return model


def random_frames(count: int = 5, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 3, SIZE, SIZE), np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """r18, in both formats."""
    path = tmp_path_factory.mktemp("inference") / "online"
    return export(make_model(shift_mode="online"), path, formats=FORMATS)


@pytest.fixture(scope="module", params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture(scope="module")
def engine(folder: Path, name: str) -> OnlineEngine:
    return opened(folder, name)


def opened(folder: Path, name: str, **options: bool) -> OnlineEngine:
    options = EngineOptions(threads=1, **options)
    return make_online_engine(folder, read_artefact(folder), engine=name, options=options)


def alone(engine: OnlineEngine, frames: np.ndarray) -> np.ndarray:
    """Logits [F, K] of frames [F, 3, H, W] of one stream."""
    streams = engine.start()
    return np.concatenate([streams.next(frame[None]) for frame in frames])


@pytest.mark.parametrize("network", NETWORKS)
def test_frames_equal_the_models_in_every_engine(network: str, tmp_path: Path) -> None:
    model = with_head(NETWORKS[network]())
    frames = random_frames()
    expected = eager(model, frames)
    assert np.ptp(expected, axis=0).max() > 1e-3, "the frames are not told apart"
    out = export(model, tmp_path / "out", formats=FORMATS)
    for name in filter(is_installed, ENGINES):
        found = paddletsm.StreamPredictor(out, threads=1, engine=name).logits(frames)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4, err_msg=name)


def test_the_state_may_lie_with_the_engine_or_with_the_caller(engine: OnlineEngine) -> None:
    frames = random_frames()
    streams, state = engine.start(), engine.zero_state(1)
    for frame in frames:
        before = [array.copy() for array in state]
        logits, new_state = engine.step(frame[None], state)
        np.testing.assert_allclose(streams.next(frame[None]), logits, rtol=1e-5, atol=1e-5)
        for kept, given, one, other in zip(before, state, new_state, streams.state, strict=True):
            np.testing.assert_array_equal(given, kept)
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
        state = new_state


def test_sixteen_streams_are_as_alone(engine: OnlineEngine) -> None:
    videos = np.stack([random_frames(4, seed) for seed in range(16)])
    streams = engine.start(16)
    together = np.stack([streams.next(videos[:, number]) for number in range(4)], 1)
    for found, video in zip(together, videos, strict=True):
        np.testing.assert_allclose(found, alone(engine, video), rtol=1e-5, atol=1e-4)


def test_streams_may_lag_and_begin_anew(engine: OnlineEngine) -> None:
    videos = np.stack([random_frames(4, seed) for seed in range(3)])
    streams = engine.start(3)
    streams.next(videos[:, 0])
    some = streams.next(videos[[2, 0], 1], rows=[2, 0])
    streams.reset(0)
    found = streams.next(videos[[2, 0, 1], [2, 0, 1]], rows=[2, 0, 1])
    expected = [alone(engine, video) for video in videos]
    wanted = [expected[2][1], expected[0][1]]
    np.testing.assert_allclose(some, wanted, rtol=1e-5, atol=1e-4)
    wanted = [expected[2][2], expected[0][0], expected[1][1]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
    streams.reset()
    assert not any(array.any() for array in streams.state)


def test_logits_stay_when_the_next_frame_comes(engine: OnlineEngine) -> None:
    streams = engine.start()
    first = streams.next(random_frames()[:1])
    before = first.copy()
    streams.next(random_frames()[1:2])
    np.testing.assert_array_equal(first, before)


def test_a_changed_frame_changes_itself_and_later_ones_only(engine: OnlineEngine) -> None:
    frames = random_frames()
    changed = frames.copy()
    changed[2] = 0.5 - changed[2]
    before, after = alone(engine, frames), alone(engine, changed)
    np.testing.assert_array_equal(before[:2], after[:2])
    assert (np.abs(before - after)[2:4].max(1) > 1e-4).all(), "the shift hands nothing on"


def test_two_sets_of_streams_do_not_disturb_each_other(engine: OnlineEngine) -> None:
    frames = random_frames()
    expected = alone(engine, frames)
    one, other = engine.start(), engine.start(2)
    for frame, logits in zip(frames, expected, strict=True):
        np.testing.assert_allclose(one.next(frame[None]), logits[None], rtol=1e-5, atol=1e-5)
        other.next(random_frames(2, seed=8))


def test_wrong_shapes_are_told(engine: OnlineEngine, caplog: pytest.LogCaptureFixture) -> None:
    """Before the engine sees them: Paddle would leave its kernels for slower ones."""
    frames, state = random_frames(2), engine.zero_state(2)
    with caplog.at_level(logging.WARNING):
        with pytest.raises(DataError, match=r"for a batch of 2 frames, not .* its own state"):
            engine.step(frames, engine.zero_state(3))
        with pytest.raises(DataError, match=rf"is {len(state)} arrays, not {len(state) - 1}"):
            engine.step(frames, state[1:])
        with pytest.raises(DataError, match="takes frames"):
            engine.step(frames[:, :2], state)
        with pytest.raises(DataError, match="for a batch of 1 frames"):
            engine.start(2).next(frames[:1])
    assert not caplog.records
    assert engine.step(frames, state)[0].shape == (2, len(LABELS))


def test_paddle_without_openvino_and_without_onednn(folder: Path) -> None:
    frames = random_frames()
    kernels = [opened(folder, "paddle", openvino=False), opened(folder, "paddle", mkldnn=False)]
    assert [engine.name for engine in kernels] == ["paddle oneDNN", "paddle Paddle"]
    for engine in kernels:
        expected = alone(opened(folder, "paddle"), frames)
        np.testing.assert_allclose(alone(engine, frames), expected, rtol=1e-5, atol=1e-4)


def test_auto_is_the_fastest_for_frames(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artefact = read_artefact(folder)
    monkeypatch.setattr(online_engine, "is_installed", lambda name: True)
    assert choose_online_engine(artefact, "auto") == ("onnxruntime", "onnx")
    assert choose_online_engine(artefact, "auto", device="gpu") == ("paddle", "pdmodel")
    networks = {"pdmodel": artefact.networks["pdmodel"]}
    only_paddle = dataclasses.replace(artefact, networks=networks)
    assert choose_online_engine(only_paddle, "auto") == ("paddle", "pdmodel")
    monkeypatch.setattr(online_engine, "is_installed", lambda name: name == "openvino")
    assert choose_online_engine(artefact, "auto") == ("openvino", "onnx")
    with pytest.raises(ConfigError, match="--format pdmodel onnx"):
        choose_online_engine(only_paddle, "onnxruntime")
    with pytest.raises(ConfigError, match="did you mean 'openvino'"):
        choose_online_engine(artefact, "openvno")


def test_an_artefact_without_names_of_outputs_is_run(folder: Path, tmp_path: Path) -> None:
    """Those of former exports, which had one format, name them in ``state`` alone."""
    artefact = read_artefact(folder)
    networks = {"pdmodel": {"files": artefact.files_of("pdmodel")}}
    for file in artefact.files_of("pdmodel"):
        (tmp_path / file).symlink_to(folder / file)
    files = {file: artefact.files[file] for file in artefact.files_of("pdmodel")}
    former = dataclasses.replace(artefact, networks=networks, files=files)
    write_artefact(former, tmp_path)
    found = alone(opened(tmp_path, "auto"), random_frames())
    np.testing.assert_array_equal(found, alone(opened(folder, "paddle"), random_frames()))


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_network_that_cannot_be_loaded(folder: Path, name: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    shapes = online_engine.StreamShapes.of(read_artefact(folder))
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"this is no network" * 20)
    with pytest.raises(ExportError, match="cannot load it"):
        online_engine.open_online_engine(name, [path], shapes, EngineOptions(threads=1))


def test_verify_tries_every_format_with_every_engine(
    folder: Path, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(shift_mode="online")
    found = verify_artefact(folder, Eager(model), [str(videos[0])], threads=1)
    ways = ["pdmodel, paddle", "onnx, openvino", "onnx, onnxruntime"]
    tried = [way for way in ways if is_installed(way.split()[1])]
    assert found.first is None
    expected = ["streaming, eager", *(f"streaming {way}" for way in tried)]
    assert [way for way in found.table if way.startswith("streaming")] == expected
    monkeypatch.setattr(verify_ways, "is_installed", lambda name: name == "paddle")
    assert missing_ways(read_artefact(folder), model) == {
        f"streaming {way}": f"{way.split()[1]} is not installed" for way in ways[1:]
    }


def test_verify_finds_a_stream_of_other_weights(folder: Path, videos: list[Path]) -> None:
    model = make_model(shift_mode="online")
    model.head.fc.bias.set_value(model.head.fc.bias + 0.01)
    found = verify_artefact(folder, Eager(model), [str(videos[0])], threads=1)
    stage, way, finding = found.first
    assert (stage, way) == ("logits", "streaming pdmodel, paddle")
    assert finding.difference == pytest.approx(0.01, rel=0.02)
