# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Whatever is planted at a stage is found at that stage, by name, with exit code 1."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import yaml

from paddletsm.cli import verify as command
from paddletsm.deploy import verify as verify_module
from paddletsm.deploy.verify import Eager, Limits, spec_differences, verify_artefact
from paddletsm.models import Recognizer2D
from paddletsm.utils.io import sha256_of
from tests.unit.deploy.conftest import LABELS, SIZE, export, make_model, make_spec

META = {
    "backbone": {"name": "ResNetTSM", "depth": 18, "width": 0.125, "num_seg": 4},
    "head": {"name": "TSMHead", "num_classes": len(LABELS)},
}


def config_of(spec: dict[str, Any], **metric: str) -> dict[str, Any]:
    """A configuration whose test is ``spec``."""
    split = {"file_path": "nowhere", "format": "VideoDataset"}
    train = {"sample": {"name": "Sampler"}, "transform": spec["transform"]}
    return {
        "MODEL": {"framework": "Recognizer2D", **META},
        "DATASET": {"train": split, "valid": split},
        "PIPELINE": {"train": train, "valid": spec, "test": spec},
        "METRIC": metric,
        "OPTIMIZER": {
            "name": "Momentum",
            "learning_rate": {"name": "PiecewiseDecay", "boundaries": [1], "values": [0.1, 0.01]},
        },
        "model_name": "tiny",
        "epochs": 1,
    }


@pytest.fixture(scope="module")
def run(model: Recognizer2D, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with run/{tiny.pdparams, config.yaml} and its artefact in model/."""
    root = tmp_path_factory.mktemp("verify")
    weights = root / "run" / "tiny.pdparams"
    weights.parent.mkdir()
    paddle.save(model.state_dict(), str(weights))
    weights.with_name("config.yaml").write_text(yaml.safe_dump(config_of(make_spec())))
    export(model, root / "model", meta=META, weights_sha256=sha256_of(weights))
    return root


def verify(run: Path, videos: list[Path], *options: str, weights: Path | None = None) -> int:
    clips = [str(path) for path in videos]
    weights = weights or run / "run" / "tiny.pdparams"
    words = ["--model_dir", str(run / "model"), "-w", str(weights), "-i", *clips]
    return command.main([*words, "--cpu_threads", "1", *options])


def test_the_same_model_passes(
    run: Path, videos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(run, videos) == 0
    printed = capsys.readouterr().out
    assert "the exported model is the trained one: 4 clips" in printed
    assert "NOT the file" not in printed
    assert verify(run, videos, "--json", "--num_clips", "2") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["clips"], record["first"]) == (2, None)
    row = record["table"]["pdmodel, paddle"]
    assert 0 < row["logits"]["difference"] < row["logits"]["allowed"] <= 1e-3
    assert set(record["table"]["inference.yml"]) == set(verify_module.STAGES[:3])
    assert record["table"]["decoder, OpenCV"]["decoded pixels"]["difference"] == 0


def test_drawn_clips_and_no_configuration(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = shutil.copy(run / "run" / "tiny.pdparams", tmp_path / "w.pdparams")
    words = ["--model_dir", str(run / "model"), "-w", str(alone), "--num_clips", "2"]
    assert command.main([*words, "--cpu_threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert "clips: 2 drawn" in printed
    assert "\ninference.yml" not in printed, "there is nothing to compare it with"


def other_mean(spec: dict[str, Any]) -> None:
    spec["transform"][2]["Normalization"]["mean"] = [0.5, 0.456, 0.406]


def other_size(spec: dict[str, Any]) -> None:
    spec["transform"][0]["Scale"]["short_size"] = 44


def other_sampling(spec: dict[str, Any]) -> None:
    spec["sample"]["twice"] = True


@pytest.mark.parametrize(
    ("plant", "stage", "hint"),
    [
        (other_sampling, "frame indices", "sample.twice: True (configuration)"),
        (other_size, "preprocessed tensor", "transform[0].Scale.short_size: 44 (configuration)"),
        (other_mean, "preprocessed tensor", "Normalization.mean: [0.5, 0.456, 0.406]"),
    ],
)
def test_another_pipeline_is_found_at_its_stage(
    run: Path,
    videos: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    plant: Any,
    stage: str,
    hint: str,
) -> None:
    spec = make_spec()
    plant(spec)
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(config_of(spec)))
    assert verify(run, videos[:2], "-c", str(path)) == 1
    printed = capsys.readouterr().out
    assert f"first difference: {stage}, inference.yml" in printed
    assert hint in printed
    # The networks are the same all the same, and that is told too.
    row = next(line for line in printed.splitlines() if line.startswith("pdmodel"))
    assert row.split()[2] != "*"


@pytest.mark.parametrize(
    ("part", "changed", "words"),
    [
        ("backbone", {"shift_div": 4}, "MODEL.backbone.shift_div: 4, but the exported model has 8"),
        ("backbone", {"depth": 34}, "MODEL.backbone.depth: 34, but the exported model has 18"),
        ("backbone", {"name": "ResNet"}, "MODEL.backbone.name: ResNet, but .* has ResNetTSM"),
        ("head", {"num_classes": 7}, "MODEL.head.num_classes: 7, but the exported model has 5"),
        ("backbone", {"shift_div": 8, "partial_bn": True}, None),
        ("head", {"drop_ratio": 0.1, "num_classes": None}, None),
    ],
)
def test_a_configuration_of_another_network_is_refused_by_its_key(
    run: Path,
    videos: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    part: str,
    changed: dict[str, Any],
    words: str | None,
) -> None:
    content = copy.deepcopy(config_of(make_spec()))
    content["MODEL"][part].update(changed)
    content["DATASET"]["class_names"] = list(LABELS)
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(content))
    assert verify(run, videos[:1], "-c", str(path)) == (0 if words is None else 2)
    printed = capsys.readouterr().err
    assert re.search(words or "^$", printed)
    # As config.yaml beside the weights it would not even be read for the network.
    weights = shutil.copy(run / "run" / "tiny.pdparams", tmp_path)
    path.rename(tmp_path / "config.yaml")
    code = verify(run, videos[:1], weights=Path(weights))
    assert code == (0 if words is None else 2)


def test_other_pixels_are_found(
    run: Path, videos: list[Path], model: Recognizer2D, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddletsm.data import build_pipeline

    pipeline = build_pipeline(make_spec())

    class Brighter:
        """A decoder that is one level off."""

        def open(self, sample: Any) -> Any:
            reader = build_pipeline(make_spec()).decoder.open(sample)
            exact = reader.get
            reader.get = lambda indices: exact(indices) ^ 1
            return reader

    pipeline.decoder = Brighter()
    found = verify_artefact(run / "model", Eager(model, pipeline), [str(videos[0])])
    stage, way, finding = found.first
    assert (stage, way, finding.difference) == ("decoded pixels", "inference.yml", 1.0)


def test_other_weights_are_told(
    run: Path, videos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_model()
    other.head.fc.bias.set_value(other.head.fc.bias + 0.01)
    weights = tmp_path / "other.pdparams"
    paddle.save(other.state_dict(), str(weights))
    assert verify(run, videos[:1], weights=weights) == 1
    printed = capsys.readouterr().out
    assert "other.pdparams; NOT the file it was exported from" in printed
    assert "first difference: logits, pdmodel, paddle: 0.01 (allowed: 0.0001)" in printed
    assert "other.pdparams is not the file that the model was exported from" in printed
    assert verify(run, videos[:1], "--tolerance", "0.02", weights=weights) == 0


def test_another_average_is_found_in_the_scores(
    model: Recognizer2D, videos: list[Path], tmp_path: Path
) -> None:
    from paddletsm.data import build_pipeline

    spec = make_spec("ThreeCrop")
    folder = export(model, tmp_path / "views", spec=spec, protocol={"average": "scores"})
    limits = Limits(tolerance=1e-7)
    pipeline = build_pipeline(spec)
    loose = verify_artefact(folder, Eager(model, pipeline, "scores"), [str(videos[0])])
    assert loose.first is None
    strict = Eager(model, pipeline, "logits")
    found = verify_artefact(folder, strict, [str(videos[0])], limits=limits)
    finding = found.table["pdmodel, paddle"]["scores"]
    assert finding.difference > 1e-7
    assert not finding.is_fine


def test_int8_is_judged_by_cosine_and_class(
    run: Path, model: Recognizer2D, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddletsm.deploy.verify_ways import Way, eager_logits

    def coarse(views: np.ndarray) -> np.ndarray:
        return np.round(eager_logits(model, views) * 4) / 4

    paths = [str(path) for path in videos]
    for change, is_fine in ((coarse, True), (lambda views: -coarse(views), False)):
        ways = [Way("int8, here", change, is_int8=True)]
        monkeypatch.setattr(verify_module, "ways_of", lambda *args, ways=ways: ways)
        found = verify_artefact(run / "model", Eager(model), paths, limits=Limits(agreement=50))
        assert (found.first is None) is is_fine
        assert "cosine" in found.table["int8, here"]["logits"].text


def test_streaming_is_the_same_as_the_online_model(videos: list[Path], tmp_path: Path) -> None:
    online = make_model(shift_mode="online")
    folder = export(online, tmp_path / "online")
    found = verify_artefact(folder, Eager(online), [str(videos[0])])
    assert found.first is None
    assert found.table["streaming, eager"]["logits"].clip == str(videos[0])


def test_a_clip_that_cannot_be_read_is_no_success(
    run: Path, videos: list[Path], broken_video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(run, [broken_video, videos[0]]) == 1
    printed = capsys.readouterr().out
    assert "not compared:" in printed
    assert "broken.avi" in printed
    assert verify(run, [broken_video]) == 2
    assert "none of the clips can be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-w", "{run}/run/tny.pdparams"], "did you mean"),
        (["-w", "{run}/run/tiny.pdparams", "--tolerance", "-1"], "negative"),
        (["-w", "{run}/run/tiny.pdparams", "--protocol", "acurate"], "did you mean 'accurate'"),
        (["-w", "{run}/model/inference.yml"], "inference.yml"),
    ],
)
def test_wrong_input_is_refused_in_one_message(
    run: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    options = [word.format(run=run) for word in options]
    assert command.main(["--model_dir", str(run / "model"), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_differences_of_pipelines_are_named() -> None:
    one = make_spec()
    other = copy.deepcopy(one)
    other["transform"][1]["CenterCrop"]["target_size"] = SIZE + 1
    del other["sample"]["valid_mode"]
    assert spec_differences(one, other, ("a", "b")) == [
        "sample.valid_mode: True (a), not stated (b)",
        "transform[1].CenterCrop.target_size: 32 (a), 33 (b)",
    ]
