# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The exported copy is the same network, and exporting leaves everything else alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from paddletsm.data import Sample, build_pipeline
from paddletsm.deploy import Predictor, read_artefact
from paddletsm.deploy import formats as formats_module
from paddletsm.errors import ConfigError, ExportError
from paddletsm.models import Recognizer2D, ResNet, TSNHead
from tests.unit.deploy.conftest import (
    CENTRE,
    LABELS,
    NUM_SEG,
    SIZE,
    eager_logits,
    export,
    make_model,
    make_spec,
    random_clips,
)


def on_device_spec() -> dict[str, Any]:
    """The centre pipeline with its normalisation left to the device."""
    *others, last = CENTRE["transform"]
    arguments = {**last["Normalization"], "on_device": True}
    return {**CENTRE, "transform": [*others, {"Normalization": arguments}]}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_batch_gives_the_logits_of_the_model(
    model: Recognizer2D, predictor: Predictor, count: int
) -> None:
    clips = random_clips(count)
    logits = predictor.engine.run(clips)
    assert logits.shape == (count, len(LABELS))
    np.testing.assert_allclose(logits, eager_logits(model, clips), atol=1e-4)


def test_whole_way_from_the_file_gives_the_logits_of_the_model(
    model: Recognizer2D, predictor: Predictor, videos: list[Path]
) -> None:
    pipeline = build_pipeline(make_spec())
    found = []
    for path in videos:
        views = pipeline(Sample(path=str(path), label=-1, id=0), None).frames
        prediction = predictor.predict(path)
        np.testing.assert_allclose(prediction.logits, eager_logits(model, views), atol=1e-4)
        found.append(prediction.logits)
    assert np.ptp(np.concatenate(found), axis=0).min() > 1e-3, "the clips are not told apart"


@pytest.mark.parametrize(
    "backbone",
    [
        {"shift_place": "block"},
        {"shift_mode": "online"},
        {"shift_padding": "circulant", "shift_div": 4},
        {"temporal_pool": True},
    ],
    ids=str,
)
def test_every_kind_of_shift_exports(backbone: dict[str, Any], tmp_path: Path) -> None:
    folder = export(make_model(**backbone), tmp_path / "out")  # ends with its own comparison
    assert read_artefact(folder).parity["max_abs_difference"] < 1e-4


def test_plain_resnet_exports(tmp_path: Path) -> None:
    backbone = ResNet(18, 0.125, NUM_SEG)
    tsn = Recognizer2D(backbone, TSNHead(len(LABELS), backbone.out_channels))
    assert read_artefact(export(tsn, tmp_path / "out")).num_seg == NUM_SEG


def test_network_without_shift_exports_as_many_segments_as_the_test_has(tmp_path: Path) -> None:
    """PaddleVideo's TSN trains on 3 segments and tests on 25."""
    network = ResNet(18, 0.125, num_seg=3)
    model = Recognizer2D(network, TSNHead(len(LABELS), network.out_channels))
    model.eval()
    spec = make_spec()
    spec["sample"]["num_seg"] = 7
    out = export(model, tmp_path / "tsn", spec=spec)
    assert read_artefact(out).num_seg == 7
    clips = np.random.default_rng(0).standard_normal((2, 7, 3, SIZE, SIZE), np.float32)
    np.testing.assert_allclose(Predictor(out).logits(clips), eager_logits(model, clips), atol=1e-4)


def test_inference_yml_holds_what_was_given(artefact_dir: Path) -> None:
    names = sorted(path.name for path in artefact_dir.iterdir())
    assert names == ["inference.yml", "tiny.pdiparams", "tiny.pdmodel"]
    artefact = read_artefact(artefact_dir)
    assert artefact.labels == LABELS
    assert artefact.pipeline == make_spec()
    assert artefact.input.shape == (-1, NUM_SEG, 3, SIZE, SIZE)
    assert artefact.output.shape == (-1, len(LABELS))
    assert artefact.protocol == {"clips": 1, "crops": 1, "average": "scores"}
    assert artefact.weights_sha256 == "ab" * 32
    assert artefact.versions["paddle"] == paddle.__version__


@pytest.mark.usefixtures("saved_before")
def test_views_are_written_into_the_protocol(model: Recognizer2D, tmp_path: Path) -> None:
    folder = export(model, tmp_path / "out", spec=make_spec("TenCrop", twice=True))
    assert read_artefact(folder).protocol == {"clips": 2, "crops": 10, "average": "scores"}


def test_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = make_model(partial_bn=True)
    model.train()

    def facts() -> list[Any]:
        layers = model.named_sublayers(include_self=True)
        parameters = model.named_parameters()
        return [
            [(name, layer.training, sorted(vars(layer))) for name, layer in layers],
            [(name, p.name, p.stop_gradient, float(p.sum())) for name, p in parameters],
        ]

    before = facts()
    export(model, tmp_path / "out")
    assert facts() == before
    model(paddle.to_tensor(random_clips(2))).sum().backward()
    assert model.head.fc.weight.grad is not None


def test_nothing_is_printed(
    model: Recognizer2D, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    predictor = Predictor(export(model, tmp_path / "out"))
    predictor.logits(random_clips(1))
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("saved_before")
def test_earlier_artefact_is_replaced_and_notes_are_kept(
    model: Recognizer2D, tmp_path: Path
) -> None:
    folder = export(model, tmp_path / "out", name="former")
    (folder / "notes").mkdir()
    (folder / "README.md").write_text("mine")
    export(model, folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["README.md", "inference.yml", "notes", "tiny.pdiparams", "tiny.pdmodel"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("saved_before")
def test_folder_that_lost_its_yml_can_be_filled_again(model: Recognizer2D, tmp_path: Path) -> None:
    folder = export(model, tmp_path / "out")
    (folder / "inference.yml").unlink()
    read_artefact(export(model, folder))


def _wrong_network(*_: object) -> dict[str, float]:
    raise ExportError("differs")


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.usefixtures("saved_before")
def test_failed_check_leaves_the_folder_as_it_was(
    model: Recognizer2D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    if not is_first:
        export(model, tmp_path / "out", labels=["old"] * len(LABELS))
    monkeypatch.setattr(formats_module, "parity", _wrong_network)
    with pytest.raises(ExportError, match="differs"):
        export(model, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ([] if is_first else ["out"])
    if not is_first:
        assert read_artefact(tmp_path / "out").labels[0] == "old"


class _OffBy:
    """An engine that gives the logits of the model, moved a little."""

    output_name = "logits"

    def __init__(self, model: Recognizer2D, offset: float) -> None:
        self.model, self.offset = model, offset

    def run(self, clips: np.ndarray) -> np.ndarray:
        return eager_logits(self.model, clips) + np.float32(self.offset)


@pytest.mark.parametrize("offset", [3e-4, float("nan")])
@pytest.mark.usefixtures("saved_before")
def test_difference_above_tolerance_is_refused(
    model: Recognizer2D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: float
) -> None:
    monkeypatch.setattr(formats_module, "PaddleEngine", lambda *_: _OffBy(model, offset))
    with pytest.raises(ExportError, match="differs from the model by"):
        export(model, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"labels": LABELS[:-1]}, ExportError, "4 class names for a network of 5 classes"),
        ({"target_size": 48}, ExportError, r"target_size \(32, 32\).*\(48, 48\)"),
        ({"name": "a/b"}, ExportError, "plain file name"),
        ({"protocol": {"crops": 3}}, ExportError, "crops = 3, PIPELINE.test means 1"),
        ({"spec": {**make_spec(), "smaple": {}}}, ConfigError, "did you mean 'sample'"),
        ({"spec": {**CENTRE, "transform": CENTRE["transform"][-1:]}}, ExportError, "add a crop"),
        ({"metrics": {"top1": object()}}, ExportError, r"metrics\.top1: object cannot"),
        ({"spec": on_device_spec()}, ExportError, "takes normalised clips"),
    ],
)
@pytest.mark.usefixtures("saved_before")
def test_contradictions_are_refused(
    model: Recognizer2D,
    tmp_path: Path,
    changed: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        export(model, tmp_path / "out", **changed)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("saved_before")
def test_wrong_number_of_segments_is_refused(model: Recognizer2D, tmp_path: Path) -> None:
    spec = make_spec()
    spec["sample"]["num_seg"] = 8
    with pytest.raises(ExportError, match="num_seg 8"):
        export(model, tmp_path / "out", spec=spec)


def test_channels_last_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="data_format NCHW"):
        export(make_model(data_format="NHWC"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_folder_of_other_things_is_left_alone(model: Recognizer2D, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ExportError, match=r"holds other things \(thesis.tex\)"):
        export(model, tmp_path)
    with pytest.raises(ExportError, match="is a file"):
        export(model, tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.usefixtures("saved_before")
def test_export_finishes_what_a_killed_one_has_left(model: Recognizer2D, tmp_path: Path) -> None:
    folder = export(model, tmp_path / "tiny")
    other = tmp_path / ".tiny.k400.abcd1234.tmp"  # of the model tiny.k400
    staged, replaced = tmp_path / ".tiny.abcd1234.tmp", tmp_path / ".tiny.abcd_234.old"
    for left in (other, staged, replaced):
        left.mkdir()
        (left / "tiny.pdmodel").write_bytes(b"half")
    (replaced / "notes").mkdir()
    export(model, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "tiny"]
    assert (folder / "notes").is_dir()
    folder.rename(tmp_path / ".tiny.abcd1234.old")  # killed between two renames
    export(model, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "tiny"]
    assert (folder / "notes").is_dir()
    read_artefact(folder)
