# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The exported stream is the model, frame by frame; streams do not disturb each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import paddle
import pytest

import paddletsm
from paddletsm.deploy import online_form, read_artefact
from paddletsm.deploy.online_export import StreamFacts, export_online
from paddletsm.errors import ConfigError, DataError, ExportError
from paddletsm.models import Recognizer2D
from paddletsm.models.streaming import to_streaming
from tests.unit.deploy.conftest import LABELS, NUM_SEG, SIZE, make_model, make_spec


def export(model: Recognizer2D, folder: Path, **changed: Any) -> Path:
    arguments: dict[str, Any] = {"name": "tiny", "spec": make_spec(), "labels": LABELS}
    arguments["facts"] = StreamFacts(0.5)
    return export_online(model, folder, **{**arguments, **changed})


def eager(model: Recognizer2D, frames: np.ndarray) -> np.ndarray:
    """Logits of each of frames [F, 3, H, W]."""
    streaming = to_streaming(model)
    state, found = streaming.init_state(1, SIZE, SIZE), []
    with paddle.no_grad():
        for frame in frames:
            logits, state = streaming(paddle.to_tensor(frame[None]), state)
            found.append(logits.numpy()[0])
    return np.stack(found)


def random_video(count: int = 6, seed: int = 0, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)


@pytest.fixture(scope="module")
def online() -> Recognizer2D:
    return make_model(shift_mode="online")


@pytest.fixture(scope="module")
def folder(online: Recognizer2D, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(online, tmp_path_factory.mktemp("inference") / "online", weights_sha256="cd" * 32)


@pytest.fixture
def stream(folder: Path) -> paddletsm.StreamPredictor:
    return paddletsm.StreamPredictor(folder, threads=1)


def test_inference_yml_states_the_stream(folder: Path, online: Recognizer2D) -> None:
    artefact = read_artefact(folder)
    assert artefact.is_online
    assert artefact.input.name == "frame"
    assert artefact.input.shape == (-1, 3, SIZE, SIZE)
    shapes = to_streaming(online).state_shapes(SIZE, SIZE)
    assert [item.shape for item in artefact.state] == [(-1, *shape) for shape in shapes]
    assert [item.name for item in artefact.state] == [f"state_{i}" for i in range(len(shapes))]
    assert len({artefact.output.name, *(item.output for item in artefact.state)}) == 1 + len(shapes)
    assert artefact.stream == {
        "fps": NUM_SEG / 0.5,
        "clip_seconds": 0.5,
        "average_frames": NUM_SEG,
    }
    assert artefact.parity["max_abs_difference"] <= artefact.parity["allowed"]


def test_inference_yml_names_files_and_outputs_of_each_format(
    online: Recognizer2D, tmp_path: Path
) -> None:
    folder = export(online, tmp_path / "out", formats=("onnx", "pdmodel"))
    artefact = read_artefact(folder)
    assert artefact.formats == ("onnx", "pdmodel")
    assert set(artefact.network_files) == {"tiny.onnx", "tiny.pdmodel", "tiny.pdiparams"}
    for form, network in artefact.networks.items():
        assert len(network["outputs"]) == len(set(network["outputs"])) == 1 + len(artefact.state)
        assert network["parity"]["max_abs_difference"] <= network["parity"]["allowed"], form
    graph = onnx.load(folder / "tiny.onnx").graph
    inputs = {item.name: item for item in graph.input}
    assert list(inputs) == ["frame", *(item.name for item in artefact.state)]
    assert all(item.type.tensor_type.shape.dim[0].dim_param for item in inputs.values())
    assert [item.name for item in graph.output] == artefact.networks["onnx"]["outputs"]
    assert [item.output for item in artefact.state] == artefact.networks["onnx"]["outputs"][1:]
    assert artefact.output.name == artefact.networks["onnx"]["outputs"][0]


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = make_model(shift_mode="online")
    model.train()
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    export(model, tmp_path / "out")
    assert model.training
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])
    model(paddle.zeros([1, NUM_SEG, 3, SIZE, SIZE])).sum().backward()
    assert model.head.fc.weight.grad is not None


def test_a_copy_that_differs_is_not_written(
    online: Recognizer2D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def wrong(self: online_form._Exchange, x: paddle.Tensor) -> paddle.Tensor:
        return self.slot.exchange(x) * 1.01

    monkeypatch.setattr(online_form._Exchange, "forward", wrong)
    with pytest.raises(ExportError, match="differs from the model by"):
        export(online, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("formats", [["int8"], ["pdmodel", "json"], ["onx"]])
def test_formats_that_streams_do_not_have(
    online: Recognizer2D, tmp_path: Path, formats: list[str]
) -> None:
    with pytest.raises(ConfigError, match="--online exports the formats pdmodel, onnx, not"):
        export(online, tmp_path / "out", formats=formats)


def test_layers_that_are_nhwc_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="data_format NCHW"):
        export(make_model(shift_mode="online", data_format="NHWC"), tmp_path / "out")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spec": make_spec("ThreeCrop")}, "3 crops"),
        ({"labels": LABELS[:2]}, "2 class names"),
        ({"name": "a/b"}, "plain file name"),
    ],
)
def test_export_refuses(
    online: Recognizer2D, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        export(online, tmp_path / "out", **changed)


def test_an_offline_network_is_refused(model: Recognizer2D, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shift_mode: online"):
        export(model, tmp_path / "out")


@pytest.mark.parametrize("facts", [{"clip_seconds": 0}, {"average_frames": 0}])
def test_facts_that_cannot_be(facts: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(facts))} must be"):
        StreamFacts(**facts)


def test_a_clip_so_short_that_no_camera_is_fast_enough(
    online: Recognizer2D, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="4 frames / clip_seconds must be from"):
        export(online, tmp_path / "out", facts=StreamFacts(1e-6))


@pytest.mark.parametrize("facts", [(0.0, None), (float("nan"), None), (1.0, 0)])
def test_facts_out_of_range(facts: tuple[float, int | None]) -> None:
    with pytest.raises(ConfigError):
        StreamFacts(*facts)


def test_push_averages_the_last_frames(stream: paddletsm.StreamPredictor) -> None:
    video = random_video()
    each = stream.logits(video)
    for number, frame in enumerate(video):
        prediction = stream.push(frame)
        window = each[max(0, number + 1 - NUM_SEG) : number + 1]
        np.testing.assert_allclose(prediction.logits[0], window.mean(0), rtol=0, atol=1e-4)
        assert prediction.label_ids[0] == window.mean(0).argmax()
        assert prediction.labels[0] == LABELS[prediction.label_ids[0]]
        assert sum(prediction.scores) == pytest.approx(1)


def test_reset_begins_anew(stream: paddletsm.StreamPredictor) -> None:
    video = random_video()
    first = stream.push(video[0]).logits
    later = stream.push(video[0]).logits
    assert np.abs(first - later).max() > 1e-3, "the state has no effect"
    stream.reset()
    np.testing.assert_array_equal(stream.push(video[0]).logits, first)


def test_logits_disturb_no_stream(stream: paddletsm.StreamPredictor) -> None:
    video = random_video()
    stream.push(video[0])
    stream.logits(random_video(seed=9))
    after = stream.push(video[1]).logits
    stream.reset()
    stream.push(video[0])
    np.testing.assert_array_equal(stream.push(video[1]).logits, after)


def test_sixteen_streams_are_as_alone(folder: Path, stream: paddletsm.StreamPredictor) -> None:
    videos = [random_video(5, seed, (40 + seed, 64)) for seed in range(16)]
    together = paddletsm.StreamPredictor(folder, threads=1, streams=16)
    rows = [together.push_many([video[step] for video in videos]) for step in range(5)]
    for number, video in enumerate(videos):
        stream.reset()
        for step, frame in enumerate(video):
            alone = stream.push(frame)
            np.testing.assert_allclose(
                rows[step][number].logits, alone.logits, rtol=1e-5, atol=1e-4
            )


def test_streams_may_lag_and_begin_anew_alone(
    folder: Path, stream: paddletsm.StreamPredictor
) -> None:
    first, second = random_video(seed=1), random_video(seed=2)
    both = paddletsm.StreamPredictor(folder, threads=1, streams=2)
    both.push_many([first[0], second[0]])
    found = both.push_many([first[1], None])
    assert found[1] is None
    assert both.push_many([None, None]) == [None, None]
    both.reset(0)
    found = both.push_many([first[2], second[1]])
    np.testing.assert_allclose(found[0].logits, stream.push(first[2]).logits, rtol=1e-5, atol=1e-4)
    stream.reset()
    stream.push(second[0])
    np.testing.assert_allclose(found[1].logits, stream.push(second[1]).logits, rtol=1e-5, atol=1e-4)


def test_wrong_use_is_refused(
    folder: Path, artefact_dir: Path, stream: paddletsm.StreamPredictor
) -> None:
    frame = random_video(1)[0]
    for wrong in (frame.astype(np.float32), frame[..., :1], frame[0], frame[:0]):
        with pytest.raises(DataError, match="uint8"):
            stream.push(wrong)
    with pytest.raises(DataError, match="None"):
        stream.push(None)
    with pytest.raises(DataError, match="2 frames for 1 stream; give"):
        stream.push_many([frame, frame])
    with pytest.raises(DataError, match="float32"):
        stream.logits(np.zeros((2, 3, SIZE + 1, SIZE), np.float32))
    with pytest.raises(ConfigError, match="no stream 1"):
        stream.reset(1)
    with pytest.raises(ConfigError, match="push_many"):
        paddletsm.StreamPredictor(folder, streams=2, threads=1).push(frame)
    for option in ("streams", "top_k", "average_frames"):
        with pytest.raises(ConfigError, match=option):
            paddletsm.StreamPredictor(folder, **{option: 0})
    with pytest.raises(ExportError, match="--online"):
        paddletsm.StreamPredictor(artefact_dir)
    with pytest.raises(ExportError, match="predict_stream"):
        paddletsm.Predictor(folder)
