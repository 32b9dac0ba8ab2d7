# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Views are averaged, files keep their order, failures stay failures."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddletsm.data import Pipeline
from paddletsm.data.sampling import Sampler
from paddletsm.deploy import Predictor
from paddletsm.deploy import engine as engine_module
from paddletsm.deploy.artefact import RANDOM_WEIGHTS
from paddletsm.deploy.engine import EngineOptions, PaddleEngine, default_threads
from paddletsm.errors import ConfigError, DataError, ExportError
from paddletsm.models import Recognizer2D
from tests.unit.data.fakes import FakeDecoder
from tests.unit.deploy.conftest import (
    LABELS,
    NUM_SEG,
    SIZE,
    eager_logits,
    export,
    make_model,
    make_spec,
    random_clips,
)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(-1, keepdims=True)


def test_prediction_names_the_best_classes(predictor: Predictor, videos: list[Path]) -> None:
    prediction = predictor.predict(videos[0], top_k=2)
    scores = _softmax(prediction.logits)[0]
    best = np.argsort(-scores)[:2]
    assert prediction.path == str(videos[0])
    assert prediction.label_ids == tuple(best)
    assert prediction.labels == tuple(LABELS[label] for label in best)
    np.testing.assert_allclose(prediction.scores, scores[best], rtol=1e-9)
    assert set(prediction.times_ms) == {"open", "decode", "transform", "infer"}
    assert prediction.error is None


def test_top_k_above_the_number_of_classes_means_all(
    predictor: Predictor, videos: list[Path]
) -> None:
    prediction = predictor.predict(videos[0], top_k=100)
    assert sorted(prediction.label_ids) == list(range(len(LABELS)))
    assert sum(prediction.scores) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("crop", "twice", "views"), [("TenCrop", False, 10), ("ThreeCrop", True, 6)]
)
@pytest.mark.usefixtures("saved_before")
def test_scores_not_logits_are_averaged_over_views(
    model: Recognizer2D,
    videos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    crop: str,
    twice: bool,
    views: int,
) -> None:
    folder = export(model, tmp_path / "out", spec=make_spec(crop, twice=twice))
    predictor = Predictor(folder, batch_size=4)
    run, batches = predictor.engine.run, []
    monkeypatch.setattr(predictor.engine, "run", lambda x: (batches.append(len(x)), run(x))[1])
    prediction = predictor.predict(videos[1], top_k=len(LABELS))
    assert prediction.logits.shape == (views, len(LABELS))
    assert max(batches) <= 4, "views of one forward pass are bounded by batch_size"
    expected = _softmax(prediction.logits).mean(0)
    np.testing.assert_allclose(prediction.scores, np.sort(expected)[::-1], rtol=1e-9)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_many_keep_their_order_and_failures_are_not_replaced(
    artefact_dir: Path,
    predictor: Predictor,
    videos: list[Path],
    broken_video: Path,
    batch_size: int,
) -> None:
    paths = [broken_video, videos[0], "missing.avi", videos[1], videos[2], broken_video]
    many = Predictor(artefact_dir, threads=1, batch_size=batch_size)
    found = list(many.predict_many(iter(paths), top_k=3))
    assert [prediction.path for prediction in found] == [str(path) for path in paths]
    assert [prediction.error is None for prediction in found] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    for prediction in found:
        if prediction.error is None:
            alone = predictor.predict(prediction.path, top_k=3)
            np.testing.assert_allclose(prediction.logits, alone.logits, atol=1e-5)
            assert prediction.labels == alone.labels
        else:
            assert Path(prediction.path).name in prediction.error
            assert prediction.labels == prediction.scores == ()


@pytest.mark.parametrize("path", ["clip.avi", b"clip.avi", Path("clip.avi")])
def test_one_path_is_no_list_of_paths(predictor: Predictor, path: Any) -> None:
    with pytest.raises(ConfigError, match=r"not the single path b?'clip\.avi'; pass \[b?'clip"):
        predictor.predict_many(path)


def test_random_weights_are_warned_of(
    artefact_dir: Path,
    model: Recognizer2D,
    saved_before: None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("paddletsm"), "propagate", True)
    folder = export(model, tmp_path / "random", weights_sha256=RANDOM_WEIGHTS)
    caplog.clear()
    for opened in (artefact_dir, folder):
        list(Predictor(opened, threads=1).predict_many([tmp_path / "gone.avi"]))
    (warning,) = {record.getMessage() for record in caplog.records if "random" in record.msg}
    assert warning.startswith(f"{folder / 'inference.yml'}: the model was exported with --random")


def test_few_paths_are_taken_ahead(predictor: Predictor, videos: list[Path]) -> None:
    taken = []

    def paths() -> Any:
        for _ in range(100):
            taken.append(videos[0])
            yield videos[0]

    results = predictor.predict_many(paths())
    for _ in range(3):
        assert next(results).error is None
    results.close()
    assert len(taken) < 20


@pytest.mark.parametrize(("workers", "instances"), [(0, 1), (0, 2), (1, 2)])
def test_workers_and_instances_change_nothing(
    artefact_dir: Path,
    predictor: Predictor,
    videos: list[Path],
    broken_video: Path,
    workers: int,
    instances: int,
) -> None:
    paths = [*videos, broken_video, *reversed(videos)]
    many = Predictor(artefact_dir, num_workers=workers, instances=instances)
    found = list(many.predict_many(paths))
    assert [prediction.path for prediction in found] == list(map(str, paths))
    assert [prediction.error is None for prediction in found] == [True] * 4 + [False] + [True] * 4
    for prediction in found:
        if prediction.error is None:
            alone = predictor.predict(prediction.path)
            np.testing.assert_allclose(prediction.logits, alone.logits, atol=1e-5)
            assert set(prediction.times_ms) == {"open", "decode", "transform", "infer"}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_hangs_is_cut_off(
    artefact_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ok", "stuck"):  # what the fake decoder does tells the folder
        Path(name).mkdir()
        Path(name, "clip").touch()
    predictor = Predictor(artefact_dir, num_workers=workers, timeout_s=2)
    predictor.pipeline = Pipeline(FakeDecoder(), Sampler(NUM_SEG), predictor.pipeline.transforms)
    found = list(predictor.predict_many(["ok/clip", "stuck/clip", "ok/clip"]))
    assert [prediction.error is None for prediction in found] == [True, False, True]
    assert "stuck/clip: not read within 2 s" in found[1].error
    with pytest.raises(DataError, match="not read within 2 s"):
        predictor.predict("stuck/clip")
    assert predictor.predict("ok/clip").error is None
    predictor.close()


def test_predict_raises_what_is_wrong_with_the_file(
    predictor: Predictor, broken_video: Path
) -> None:
    for path in ("missing.avi", broken_video):
        with pytest.raises(DataError, match=Path(path).name):
            predictor.predict(path)


def test_logits_take_any_number_of_clips(artefact_dir: Path, predictor: Predictor) -> None:
    clips = random_clips(5)
    batched = Predictor(artefact_dir, batch_size=2).logits(clips)
    np.testing.assert_allclose(batched, predictor.logits(clips), atol=1e-5)


@pytest.mark.parametrize(
    "shape", [(NUM_SEG, 3, SIZE, SIZE), (1, NUM_SEG, 3, 8, 8), (0, NUM_SEG, 3, SIZE, SIZE)]
)
def test_clips_of_another_shape_are_refused(predictor: Predictor, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"clips \[N, 4, 3, 32, 32\], not"):
        predictor.logits(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"device": "gpuu"}, "did you mean 'gpu'"),
        ({"device": "cpu:1"}, "the CPU has no number"),
        ({"device": "gpu:x"}, "N a number"),
        ({"use_tensorrt": True}, "TensorRT runs on a GPU only"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"threads": 100_000}, "threads must be at most"),
        ({"instances": 100_000}, "instances must be at most"),
        ({"num_workers": 100_000}, "num_workers must be at most"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"instances": 0}, "instances must be at least 1"),
        ({"num_workers": -1}, "num_workers must be at least 0"),
        ({"timeout_s": 0}, "timeout_s must be above 0"),
    ],
)
def test_impossible_options_are_refused(
    artefact_dir: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        Predictor(artefact_dir, **arguments)


def test_gpu_on_a_cpu_build_is_refused(artefact_dir: Path) -> None:
    import paddle

    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle is built with CUDA")
    with pytest.raises(ConfigError, match="is a CPU build; use the device 'cpu'"):
        Predictor(artefact_dir, device="gpu")


def test_top_k_below_one_is_refused(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match="top_k"):
        predictor.predict_many([], top_k=0)


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "tiny.pdmodel", folder / "tiny.pdiparams"


@pytest.mark.parametrize("stage", ["_config", "_run"])
@pytest.mark.parametrize("has_openvino", [True, False])
def test_without_kernels_that_cannot_run_the_network(
    artefact_dir: Path,
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    has_openvino: bool,
) -> None:
    monkeypatch.setattr(engine_module, "has_openvino", lambda: has_openvino)
    original = getattr(PaddleEngine, stage)
    clips = random_clips(2)
    expected = predictor.logits(clips)

    def failing(engine: PaddleEngine, *args: Any) -> Any:
        if engine.kernels != "Paddle":
            raise RuntimeError("Error Message Summary:\nUnavailableError: no such instruction")
        return original(engine, *args)

    monkeypatch.setattr(PaddleEngine, stage, failing)
    said: list[str] = []
    monkeypatch.setattr(
        logging.getLogger(PaddleEngine.__module__),
        "warning",
        lambda text, *args: said.append(text % args),
    )
    engine = PaddleEngine(*_files(artefact_dir), EngineOptions())
    logits = [engine.run(clips) for _ in range(3)][-1]
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    names = ["OpenVINO", "oneDNN"] if has_openvino else ["oneDNN"]
    assert [text.split()[0] for text in said] == names
    assert all("UnavailableError: no such instruction" in text for text in said)
    assert engine.kernels == "Paddle"


def test_paddles_openvino_runs_the_network_and_leaves_no_file(
    artefact_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not engine_module.has_openvino():
        pytest.skip("this build of Paddle holds no OpenVINO")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = PaddleEngine(*_files(artefact_dir), EngineOptions())
    onednn = PaddleEngine(*_files(artefact_dir), EngineOptions(openvino=False))
    assert (engine.kernels, onednn.kernels) == ("OpenVINO", "oneDNN")
    clips = random_clips(3)
    for part in (clips, clips[:1], clips[:2]):
        np.testing.assert_allclose(engine.run(part), onednn.run(part), atol=1e-4)
    assert list(tmp_path.iterdir()) == []


def test_onednn_can_be_turned_off(artefact_dir: Path, predictor: Predictor) -> None:
    plain = Predictor(artefact_dir, mkldnn=False)
    assert plain.engine.kernels == "Paddle"
    clips = random_clips(2)
    np.testing.assert_allclose(plain.logits(clips), predictor.logits(clips), atol=1e-4)


def test_what_paddle_cannot_load_is_an_export_error(
    artefact_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A damaged network crashes Paddle itself; the checksums of the artefact keep it from there.
    def failing(engine: PaddleEngine) -> Any:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(PaddleEngine, "_config", failing)
    with pytest.raises(ExportError, match=r"tiny\.pdmodel: .* cannot load it: no such operator"):
        PaddleEngine(*_files(artefact_dir), EngineOptions(mkldnn=False))


def test_threads_default_to_the_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    from paddletsm.utils.threads import usable_cores

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # what importing Paddle leaves behind
    assert default_threads() == usable_cores()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3


def test_the_newer_format_of_paddle_3_loads(tmp_path: Path) -> None:
    paddle = pytest.importorskip("paddle", minversion="3.0")
    model = make_model()
    clips = random_clips(2)
    expected = eager_logits(model, clips)
    static = paddle.jit.to_static(model, input_spec=model.input_spec(SIZE, SIZE), full_graph=True)
    paddle.jit.save(static, str(tmp_path / "tiny"))
    engine = PaddleEngine(tmp_path / "tiny.json", tmp_path / "tiny.pdiparams", EngineOptions())
    np.testing.assert_allclose(engine.run(clips), expected, atol=1e-4)
