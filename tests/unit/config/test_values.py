# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Values of the right type that nothing could work with; wrong components; where both stand."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import yaml

from paddletsm.builders import (
    build_model,
    check_model,
    class_names,
    index_of,
    load_config,
    resolve_classes,
)
from paddletsm.config import with_value
from paddletsm.config.checks import RESNET_DEPTHS
from paddletsm.errors import ConfigError, DataError
from paddletsm.registry import Registry
from tests.unit.config import paddlevideo_files

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
UCF = CONFIGS / "tsm_ucf101.yaml"
MOTION = CONFIGS / "tsm_motion.yaml"  # CosineDecay


@pytest.mark.parametrize(
    "override",
    [
        "seed=-1",
        "seed=99999999999999999999",
        "epochs=99999999999999999999",
        "MODEL.backbone.shift_div=0",
        "MODEL.backbone.shift_div=1",
        "MODEL.backbone.shift_div=-8",
        "MODEL.backbone.width=.inf",
        "MODEL.backbone.width=-1",
        "MODEL.backbone.width=0.001",
        "MODEL.backbone.depth=19",
        "MODEL.head.std=-1",
        "MODEL.head.std=.nan",
        "MODEL.head.drop_ratio=1",
        "MODEL.head.in_channels=0",
        "model_name=",
        'model_name="a\\tb"',
        'model_name="a\\e[31mb"',
        'model_name="a\\0b"',
        'output_dir="a\\0b"',
        'output_dir="\\uDCFF"',
        "model_name=.hidden",
        f"model_name={'x' * 300}",
        "OPTIMIZER.learning_rate.total_batch_size=-4",
        "OPTIMIZER.learning_rate.total_batch_size=0",
        "OPTIMIZER.learning_rate.warmup_epochs=.inf",
        "OPTIMIZER.learning_rate.warmup_epochs=-1",
        "OPTIMIZER.learning_rate.base=.inf",
        "OPTIMIZER.learning_rate.base=-0.1",
        "OPTIMIZER.learning_rate.base=1e999",
        "OPTIMIZER.grad_clip.value=-1",
        "OPTIMIZER.grad_clip.value=0",
        "OPTIMIZER.weight_decay.value=-1",
        "DATASET.sample_timeout_sec=.nan",
        "DATASET.sample_timeout_sec=0",
        "DATASET.max_bad_fraction=.nan",
        "PIPELINE.valid.transform.0.Scale.short_size=.inf",
    ],
)
def test_value_out_of_range_names_key_and_origin(override: str) -> None:
    key = override.split("=")[0]
    with pytest.raises(ConfigError) as info:
        load_config(MOTION, [override])
    message = str(info.value)
    assert message.startswith("-o ")
    assert f": {key}: " in message
    assert message.isprintable()


def test_numbers_in_lists_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"learning_rate\.values\.1: must be a finite number"):
        load_config(UCF, ["OPTIMIZER.learning_rate.values=[0.1, .inf, 0.01]"])
    with pytest.raises(ConfigError, match=r"Normalization\.mean\.2: must be a finite number"):
        load_config(UCF, ["PIPELINE.train.transform.2.Normalization.mean=[0.5, 0.5, .nan]"])


def test_depths_are_those_of_the_network() -> None:
    from paddletsm.models import resnet

    assert tuple(sorted(resnet._DEPTHS)) == RESNET_DEPTHS


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("MODEL.backbone.shift_div=65", ["MODEL.backbone.shift_div: 65 leaves no channel"]),
        ("MODEL.backbone.name=ResNetTMS", ["MODEL.backbone.name: unknown", "'ResNetTSM'"]),
        ("MODEL.head.name=TSMhead", ["MODEL.head.name: unknown", "'TSMHead'"]),
        ("MODEL.framework=Recognizer3D", ["MODEL.framework: unknown", "'Recognizer2D'"]),
    ],
)
def test_model_is_checked_before_the_data(override: str, parts: list[str]) -> None:
    config = load_config(MOTION, [override, "DATASET.train.file_path=/nowhere/list.txt"])
    for check in (check_model, resolve_classes, build_model):
        with pytest.raises(ConfigError) as info:
            check(config)
        assert str(info.value).startswith(f"-o {override}: ")
        for part in parts:
            assert part in str(info.value)


def test_argument_of_another_component_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    backbone = "  backbone:\n    name: MobileNetV2TSM\n    num_seg: 8\n    depth: 50\n"
    file.write_text(f"_base_: {MOTION}\nMODEL:\n{backbone}")
    with pytest.raises(ConfigError, match=r"own\.yaml:6: MODEL\.backbone\.depth: .*no argument"):
        check_model(load_config(file))


def test_wrong_channels_are_told_with_their_origin() -> None:
    overrides = ["MODEL.head.in_channels=7", "MODEL.head.num_classes=2", "MODEL.backbone.depth=18"]
    config = with_value(load_config(UCF, overrides), ("DATASET", "class_names"), None)
    with pytest.raises(ConfigError, match=r"^-o MODEL\.head\.in_channels=7: MODEL\.head\.in_chan"):
        build_model(config)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        (
            "PIPELINE.train.transform.0.Scale.short_sze=40",
            ["PIPELINE.train.transform.0.Scale.short_sze: ", "did you mean 'short_size'"],
        ),
        ("PIPELINE.train.transform.0.Scale.short_size=0", ["Scale.short_size: ", "1 or more"]),
        ("PIPELINE.train.transform.0={Scal: {}}", ["PIPELINE.train.transform.0.Scal: unknown"]),
        ("PIPELINE.train.transform.0={Scale: {}}", ["PIPELINE.train.transform.0.Scale: ", "needs"]),
        ("PIPELINE.train.sample.num_sgs=8", ["PIPELINE.train.sample.num_sgs: ", "'num_seg'"]),
        ("PIPELINE.train.sample.name=Sampl", ["PIPELINE.train.sample.name: ", "'Sampler'"]),
        ("PIPELINE.valid.decode={backend: avx}", ["PIPELINE.valid.decode.backend: ", "decord"]),
        ("DATASET.valid.suffix=img.jpg", ["DATASET.valid.suffix: ", "img.jpg"]),
        ("PIPELINE.train.transform=[]", ["PIPELINE.train.transform: Normalization must be"]),
    ],
)
def test_component_arguments_are_told_with_their_origin(override: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as info:
        load_config(UCF, [override])
    assert str(info.value).startswith(f"-o {override}: ")
    for part in parts:
        assert part in str(info.value)


def test_component_arguments_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        f"_base_: {UCF}\nPIPELINE:\n  valid:\n    transform:\n"
        "      - CenterCrop:\n          targt_size: 224\n      - Normalization: {}\n"
    )
    (tmp_path / "own.yaml").write_text("_base_: base.yaml\nmodel_name: own\n")
    with pytest.raises(
        ConfigError, match=r"base\.yaml:6: PIPELINE\.valid\.transform\.0\.CenterCrop\.targt_size: "
    ):
        load_config(tmp_path / "own.yaml")


def test_constructor_overflow_is_no_traceback() -> None:
    registry = Registry("thing")

    @registry.register
    def whole(size: float) -> int:
        return int(size)

    with pytest.raises(ConfigError, match="x: thing 'whole': "):
        registry.build("whole", {"size": float("inf")}, where="x")


@pytest.mark.parametrize("key", ["num_sge", "top_k"])
def test_misspelt_key_of_inference(tmp_path: Path, key: str) -> None:
    values = paddlevideo_files.make("tsm_k400_videos")
    values["INFERENCE"][key] = 8
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=rf"a\.yaml:\d+: INFERENCE\.{key}: unknown key"):
        load_config(tmp_path / "a.yaml")


@pytest.fixture
def listed(tmp_path: Path) -> list[str]:
    """Overrides: a training list that is there, and a file of names that is not."""
    (tmp_path / "train.txt").write_text("a 3 0\nb 3 1\n")
    (tmp_path / "classes.txt").write_text("left\nright\n")
    return [
        f"DATASET.train.file_path={tmp_path / 'train.txt'}",
        f"DATASET.class_names={tmp_path / 'clases.txt'}",
        "MODEL.head.num_classes=2",
    ]


def test_missing_names_of_data_that_is_there_are_said_once(
    listed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists without a file of names are PaddleVideo's layout: they train, with numbered classes."""
    lines: list[str] = []
    monkeypatch.setattr(
        logging.getLogger("paddletsm.builders.classes"),
        "warning",
        lambda text, *args: lines.append(text % args),
    )
    config = load_config(UCF, listed)
    for _ in range(2):
        assert class_names(config) == ["class 0", "class 1"]
    (message,) = lines
    assert message.startswith("-o DATASET.class_names=")
    assert f"clases.txt does not exist; did you mean '{tmp_path / 'classes.txt'}'" in message


def test_missing_names_of_class_folders_are_those_of_the_folders(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mp4").touch()
    overrides = [
        f"DATASET.train={{file_path: {tmp_path}, format: VideoDataset, suffix: null}}",
        f"DATASET.class_names={tmp_path / 'nope.txt'}",
        "MODEL.head.num_classes=2",
    ]
    assert class_names(load_config(UCF, overrides)) == ["left", "right"]
    assert "nope.txt does not exist; the class folders give the names" in caplog.text


def test_missing_names_of_missing_data_are_not_the_first_thing_to_say(
    listed: list[str], tmp_path: Path
) -> None:
    (tmp_path / "train.txt").unlink()
    assert resolve_classes(load_config(UCF, listed)).MODEL.head.num_classes == 2
    with pytest.raises(DataError, match=r"train\.txt"):
        resolve_classes(load_config(UCF, [*listed, "MODEL.head.num_classes=null"]))


def test_unreadable_names(listed: list[str], tmp_path: Path) -> None:
    (tmp_path / "clases.txt").write_bytes(b"left\n\xff\n")
    with pytest.raises(DataError, match=r"clases\.txt cannot be read"):
        resolve_classes(load_config(UCF, listed))
    with pytest.raises(DataError, match="is not a file"):
        resolve_classes(load_config(UCF, [*listed, f"DATASET.class_names={tmp_path}"]))


def test_names_of_other_classes_step_back_for_an_override(tmp_path: Path) -> None:
    """load_config("configs/tsm_ucf101.yaml", ["MODEL.head.num_classes=3"]) builds three classes."""
    (tmp_path / "classes.txt").write_text("a\nb\n")
    names = f"DATASET.class_names={tmp_path / 'classes.txt'}"
    config = resolve_classes(load_config(UCF, [names, "MODEL.head.num_classes=3"]))
    assert config.MODEL.head.num_classes == 3
    assert class_names(config) == ["class 0", "class 1", "class 2"]
    with pytest.raises(ConfigError, match="101 contradicts the data"):
        resolve_classes(load_config(UCF, [names]))  # stated in the file: one of the two is wrong


def test_pattern_of_frames_is_no_ending_of_videos(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a 0\n")
    overrides = [
        f"DATASET.train.file_path={tmp_path / 'train.txt'}",
        "DATASET.train.format=VideoDataset",
    ]
    with pytest.raises(ConfigError, match=r"suffix: 'img_.*' is the pattern of a FrameDataset"):
        index_of(load_config(UCF, overrides), "train")
