# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Each format is the same network in each engine that is installed; int8 is judged and refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddletsm.data import Sample
from paddletsm.deploy import Predictor, read_artefact
from paddletsm.deploy.engine import Engine, EngineOptions
from paddletsm.deploy.engines import ENGINES, choose_engine, is_installed, make_engine
from paddletsm.deploy.formats import FORMATS, checked_difference, network_files
from paddletsm.deploy.int8 import Int8Plan, balanced, compare
from paddletsm.errors import ConfigError, DataError, ExportError
from paddletsm.models import MobileNetV2TSM, Recognizer2D, ResNetTSM, TSMHead, TSNHead
from tests.conftest import REPO, once
from tests.unit.deploy.conftest import (
    LABELS,
    NUM_SEG,
    eager_logits,
    export,
    make_model,
    random_clips,
)

HAS_ONNX = is_installed("onnx") and is_installed("onnxruntime")
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="onnx and onnxruntime are not installed")
IS_PADDLE_3 = hasattr(paddle.pir_utils, "OldIrGuard")
needs_paddle_3 = pytest.mark.skipif(not IS_PADDLE_3, reason="the format json is Paddle 3's")


def plan(videos: list[Path], **changed: float) -> Int8Plan:
    samples = [Sample(path=str(path), label=n, id=n) for n, path in enumerate(videos)]
    return Int8Plan(samples, samples, **{"max_drop": 100.0, **changed})


@pytest.fixture(scope="session")
def all_formats(
    model: Recognizer2D, videos: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Read only."""
    formats = [f for f in FORMATS if f != "json" or IS_PADDLE_3]

    def make(folder: Path) -> None:
        export(model, folder / "tiny", formats=formats, int8=plan(videos))

    return once(tmp_path_factory, "all_formats", make) / "tiny"


@needs_onnx
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", [1, 3])
def test_every_engine_gives_the_logits_of_the_model(
    model: Recognizer2D, all_formats: Path, engine: str, count: int
) -> None:
    if not is_installed(engine):
        pytest.skip(f"{engine} is not installed")
    clips = random_clips(count)
    expected = eager_logits(model, clips)
    predictor = Predictor(all_formats, engine=engine, batch_size=count)
    np.testing.assert_allclose(predictor.logits(clips), expected, atol=1e-4)
    if "int8" in ENGINES[engine]:
        found = Predictor(all_formats, engine=engine, precision="int8").logits(clips)
        cosine = (found * expected).sum() / np.linalg.norm(found) / np.linalg.norm(expected)
        assert cosine > 0.95  # noise, unlike the clips that gave the ranges
        assert np.abs(found - expected).max() > 1e-4, "this is not 8 bit"


@needs_onnx
def test_inference_yml_tells_what_each_format_is(all_formats: Path) -> None:
    artefact = read_artefact(all_formats)
    assert artefact.formats[0] == "pdmodel"
    assert set(artefact.network_files) | {"inference.yml"} == {
        path.name for path in all_formats.iterdir()
    }
    for form in artefact.formats[:-1]:
        assert artefact.networks[form]["parity"]["max_abs_difference"] < 1e-4
    accuracy = artefact.networks["int8"]["accuracy"]
    assert accuracy["clips"] == 4
    assert accuracy["drop"] == pytest.approx(accuracy["top1_fp32"] - accuracy["top1_int8"])
    assert accuracy["cosine"] > 0.99


@needs_onnx
def test_the_output_has_the_name_of_the_file(tmp_path: Path) -> None:
    """OpenVINO leaves out the bias of zeros, and knows the logits by two names."""
    import onnx

    network = ResNetTSM(18, 0.125, NUM_SEG)
    model = Recognizer2D(network, TSNHead(len(LABELS), network.out_channels))
    folder = export(model, tmp_path / "out", formats=["onnx"])
    (output,) = onnx.load(folder / "tiny.onnx").graph.output
    assert read_artefact(folder).output.name == output.name


def test_a_nan_is_found_wherever_it_is() -> None:
    good = np.ones((3, 2), np.float32)
    bad = np.full_like(good, np.nan)
    assert checked_difference((good, good), (good, good))["max_abs_difference"] == 0
    for pairs in ([(bad, good), (good, good)], [(good, good), (bad, good)]):
        with pytest.raises(ExportError, match="differs from the model by nan"):
            checked_difference(*pairs)


@needs_onnx
@pytest.mark.parametrize("form", ["pdmodel", "onnx", "int8"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "of another"])
def test_damaged_files_are_refused_by_name(
    all_formats: Path, tmp_path: Path, form: str, damage: str
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(all_formats, folder)
    name = network_files("tiny", form)[-1]
    path = folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-50] if damage == "truncated" else content[::-1])
    with pytest.raises(ExportError, match=f"{name} is (missing|not the file)"):
        Predictor(folder, engine="onnxruntime")


@needs_paddle_3
def test_json_alone(model: Recognizer2D, tmp_path: Path) -> None:
    folder = export(model, tmp_path / "out", formats=["json"])
    assert read_artefact(folder).network_files == ("tiny.json", "tiny.json.pdiparams")
    clips = random_clips(2)
    found = Predictor(folder).logits(clips)
    np.testing.assert_allclose(found, eager_logits(model, clips), atol=1e-4)


@needs_onnx
@needs_paddle_3
def test_results_are_alone_on_a_piped_output(model: Recognizer2D, tmp_path: Path) -> None:
    """What C++ prints is buffered in a pipe, and comes out when the process ends."""
    folder = export(model, tmp_path / "tiny", formats=["json"])
    code = (
        "import sys, numpy; from paddletsm.deploy import Predictor\n"
        "predictor = Predictor(sys.argv[1], threads=1)\n"
        "for count in (1, 2):\n"
        "    predictor.logits(numpy.zeros((count, 4, 3, 32, 32), 'float32'))\n"
        "print('result')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=REPO, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout == "result\n"


@pytest.mark.parametrize("name", ["temporal pool and non-local", "mobilenet"])
def test_other_networks_as_onnx(name: str, tmp_path: Path) -> None:
    model = make_model(temporal_pool=True, non_local="embedded_gaussian", shift_place="block")
    if name == "mobilenet":
        network = MobileNetV2TSM(0.25, NUM_SEG)
        model = Recognizer2D(network, TSMHead(len(LABELS), network.out_channels, std=0.3))
        model.eval()
    folder = export(model, tmp_path / "out", formats=["onnx"])  # ends with its own comparison
    assert read_artefact(folder).formats == ("onnx",)


@pytest.mark.skipif(not (HAS_ONNX and is_installed("openvino")), reason="no openvino")
def test_openvino_predicts_without_paddle(all_formats: Path, videos: list[Path]) -> None:
    code = (
        "import sys; from paddletsm import Predictor; "
        "p = Predictor(sys.argv[1], engine='auto').predict(sys.argv[2]); "
        "assert p.labels and 'paddle' not in sys.modules and 'openvino' in sys.modules"
    )
    command = [sys.executable, "-c", code, str(all_formats), str(videos[0])]
    subprocess.run(command, check=True, cwd=REPO)


@needs_onnx
def test_int8_that_loses_too_much_is_refused(
    model: Recognizer2D, videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddletsm.deploy import int8

    honest = int8.compare

    def worse(*arguments: object) -> dict[str, float]:
        figures = honest(*arguments)
        return {**figures, "drop": figures["drop"] + 7.5}

    monkeypatch.setattr(int8, "compare", worse)
    with pytest.raises(ExportError, match=r"loses \d+\.50 points of top-1 .* allowed: 2"):
        export(model, tmp_path / "out", formats=["int8"], int8=plan(videos, max_drop=2))
    assert not list(tmp_path.iterdir())


class _Fixed:
    """An engine whose logits say the same class for every clip."""

    output_name = "logits"

    def __init__(self, label: int) -> None:
        self.label = label

    def run(self, clips: np.ndarray) -> np.ndarray:
        return np.tile(np.eye(3, dtype=np.float32)[self.label], (len(clips), 1))


def test_comparison_counts() -> None:
    clips = [(Sample(path="", label=label, id=0), np.zeros((2, 1))) for label in (0, 0, 0, 1)]
    figures = compare(_Fixed(0), _Fixed(1), iter(clips), {"average": "scores"})
    assert figures == {
        "clips": 4, "top1_fp32": 75.0, "top1_int8": 25.0, "drop": 50.0, "agreement": 0.0,
        "cosine": 0.0,
    }  # fmt: skip
    with pytest.raises(DataError, match="none of the clips"):
        compare(_Fixed(0), _Fixed(1), iter([]), {})


def test_balanced_takes_every_class_alike() -> None:
    labels = [0] * 90 + [1] * 5 + [2] * 5
    samples = [Sample(path=str(n), label=label, id=n) for n, label in enumerate(labels)]
    picked = balanced(samples, 9)
    assert [sample.label for sample in picked] == [0, 1, 2] * 3
    assert len({sample.id for sample in picked}) == 9
    assert [s.label for s in balanced(samples, 30)].count(0) == 20  # the others have only 5
    assert balanced(samples, None) == samples


@pytest.mark.parametrize(
    ("engine", "precision", "words"),
    [
        ("openvin", "fp32", "engine 'openvin' is unknown; did you mean 'openvino'"),
        ("paddle", "int4", "precision 'int4' is unknown"),
        ("onnxruntime", "fp32", "holds pdmodel, nothing.*--format pdmodel onnx"),
        ("openvino", "int8", "--format pdmodel int8"),
        ("paddle", "int8", "does not run in int8; use openvino"),
    ],
)
def test_what_cannot_run_is_refused_with_the_remedy(
    artefact_dir: Path, engine: str, precision: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        Predictor(artefact_dir, engine=engine, precision=precision)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("auto", "nothing that any engine runs in fp32; run it in 8 bit with --precision int8, or"),
        ("openvino", "the engine openvino runs in fp32; run it in 8 bit with --precision int8, or"),
        ("paddle", "run it in 8 bit with --engine auto --precision int8, or export it again"),
    ],
)
def test_int8_alone_is_offered(engine: str, words: str) -> None:
    alone = type("Alone", (), {"formats": ("int8",), "model_name": "m"})
    with pytest.raises(ConfigError, match=words):
        choose_engine(alone, engine)


@needs_onnx
@needs_paddle_3
def test_a_format_may_be_chosen(all_formats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from paddletsm.deploy import engines

    opened: list[str] = []
    really = engines.open_engine

    def noting(name: str, paths: list[Path], options: EngineOptions) -> Engine:
        opened.extend(path.name for path in paths)
        return really(name, paths, options)

    monkeypatch.setattr(engines, "open_engine", noting)
    Predictor(all_formats, threads=1)
    one = Predictor(all_formats, format="json", threads=1)
    assert opened == ["tiny.pdmodel", "tiny.pdiparams", "tiny.json", "tiny.json.pdiparams"]
    with Predictor(all_formats, format="json", instances=2) as two:
        assert {json.loads(engine._setup)["form"] for engine in two._engines} == {"json"}
        clips = random_clips(1)
        np.testing.assert_allclose(two.logits(clips), one.logits(clips), atol=1e-4)
    with pytest.raises(ConfigError, match=r"format 'jsn': .* holds .*did you mean 'json'"):
        Predictor(all_formats, format="jsn")
    with pytest.raises(ConfigError, match="nothing that the engine paddle runs"):
        Predictor(all_formats, format="onnx")


def test_auto_takes_what_is_there(artefact_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from paddletsm.deploy import engines

    artefact = read_artefact(artefact_dir)
    assert choose_engine(artefact, "auto") == ("paddle", "pdmodel")
    monkeypatch.setattr(engines, "is_installed", lambda name: name != "openvino")
    both = type("Both", (), {"formats": ("pdmodel", "onnx", "int8"), "model_name": "m"})
    assert choose_engine(both, "auto") == ("onnxruntime", "onnx")
    assert choose_engine(both, "auto", "int8") == ("onnxruntime", "int8")
    assert choose_engine(both, "auto", device="gpu") == ("paddle", "pdmodel")
    with pytest.raises(ConfigError, match=r"openvino is not installed; pip install 'paddletsm"):
        choose_engine(both, "openvino")
    with pytest.raises(ConfigError, match=r"in int8 with openvino, onnxruntime alone.*not on 'gpu"):
        choose_engine(both, "auto", "int8", device="gpu")


@pytest.mark.parametrize("engine", ["auto", "paddle"])
def test_a_missing_int8_engine_names_the_extras(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddletsm.deploy import engines

    monkeypatch.setattr(engines, "is_installed", lambda name: name == "paddle")
    both = type("Both", (), {"formats": ("pdmodel", "int8"), "model_name": "m"})
    remedy = r"pip install 'paddletsm\[openvino\]' or pip install 'paddletsm\[onnx\]'"
    with pytest.raises(ConfigError, match=remedy):
        choose_engine(both, engine, "int8")


@pytest.mark.parametrize("formats", [["onxx"], []])
def test_unknown_format_is_refused(model: Recognizer2D, tmp_path: Path, formats: list[str]) -> None:
    with pytest.raises(ConfigError, match="onnx"):
        export(model, tmp_path / "out", formats=formats)
    assert not list(tmp_path.iterdir())


@needs_onnx
def test_int8_needs_clips(model: Recognizer2D, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs clips to calibrate on"):
        export(model, tmp_path / "out", formats=["int8"])


def test_missing_package_names_the_extra(
    model: Recognizer2D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"pip install 'paddletsm\[onnx\]'"):
        export(model, tmp_path / "out", formats=["onnx"])


@needs_onnx
@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_may_be_of_any_size_after_one(all_formats: Path, engine: str) -> None:
    """OpenVINO compiles for a batch of one first."""
    pytest.importorskip(engine)
    opened = make_engine(all_formats, read_artefact(all_formats), engine=engine)
    shape = read_artefact(all_formats).input.shape[1:]
    clips = np.random.default_rng(1).standard_normal((4, *shape), np.float32)
    found = [opened.run(clips[:1]), opened.run(clips[1:]), opened.run(clips[:1])]
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5, atol=1e-5)
    expected = np.concatenate([opened.run(clip[None]) for clip in clips])
    np.testing.assert_allclose(np.concatenate(found[:2]), expected, rtol=1e-5, atol=1e-5)


@needs_onnx
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_cpu_engines_refuse_other_devices(all_formats: Path, engine: str) -> None:
    if not is_installed(engine):
        pytest.skip(f"{engine} is not installed")
    with pytest.raises(ConfigError, match="runs on the CPU here"):
        Predictor(all_formats, engine=engine, device="gpu")
    with pytest.raises(ConfigError, match="threads must be at least 1"):
        Predictor(all_formats, engine=engine, threads=0)


def test_former_artefacts_are_still_read(artefact_dir: Path) -> None:
    """Those written before there was more than one format name no networks."""
    import dataclasses

    former = dataclasses.replace(read_artefact(artefact_dir), networks=None)
    assert former.formats == ("pdmodel",)
    assert former.files_of("pdmodel") == ("tiny.pdmodel", "tiny.pdiparams")
    with pytest.raises(ExportError, match="no pair of"):
        dataclasses.replace(former, files={"tiny.pdmodel": "0"}).formats  # noqa: B018
