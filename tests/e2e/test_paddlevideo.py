# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""PaddleVideo's own files train unchanged: their lists, their folders, their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml

from paddletsm.models import Recognizer2D, ResNet, TSNHead
from tests.conftest import REPO, random_frames, write_video
from tests.e2e.conftest import Command
from tests.unit.config import paddlevideo_files


def pretrained_resnet50(path: Path) -> dict[str, np.ndarray]:
    """Write random ResNet-50 weights under PaddleVideo's names (backbone only)."""
    paddle.seed(1)
    state = Recognizer2D(ResNet(50), TSNHead(10, 2048)).backbone.state_dict()
    renamed = {}
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[0] in ("conv1", "bn1"):
            prefix, kind, leaf = "conv", parts[0][:-1], parts[1]
        else:
            block = f"res{int(parts[0][-1]) + 1}{chr(ord('a') + int(parts[1]))}"
            if parts[2] == "downsample":
                prefix, kind = f"{block}.short", ("conv", "bn")[int(parts[3])]
            else:
                prefix, kind = f"{block}.conv{int(parts[2][-1]) - 1}", parts[2][:-1]
            leaf = parts[-1]
        part = "_conv" if kind == "conv" else "_batch_norm"
        renamed[f"{prefix}.{part}.{leaf}"] = tensor
    path.parent.mkdir(parents=True, exist_ok=True)
    paddle.save(renamed, str(path))
    return {name: tensor.numpy() for name, tensor in state.items()}


def write_frame_folders(root: Path, count: int) -> list[str]:
    import cv2

    lines = []
    for number in range(count):
        folder = root / f"clip {number}"
        folder.mkdir(parents=True)
        for index, frame in enumerate(random_frames(9, 60, 80, seed=number), start=1):
            cv2.imwrite(str(folder / f"img_{index:05}.jpg"), frame)
        lines.append(f'"clip {number}" 9 {number}')
    return lines


@pytest.mark.parametrize("name", ["tsm_ucf101_frames_nhwc", "tsn_k400_videos"])
def test_trains_unchanged(name: str, command: Command, tmp_path: Path) -> None:
    values = paddlevideo_files.make(name)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    pretrained_resnet50(tmp_path / values["MODEL"]["backbone"]["pretrained"])
    for mode in ("train", "valid", "test"):
        split = values["DATASET"][mode]
        list_file = tmp_path / split["file_path"]
        list_file.parent.mkdir(parents=True, exist_ok=True)
        prefix = tmp_path / (split["data_prefix"] or ".")
        if list_file.exists():
            continue
        if "frames" in name:
            lines = write_frame_folders(prefix / mode, 2)
            lines = [line.replace('"', f'"{mode}/', 1) for line in lines]
        else:
            lines = []
            for number in range(2):
                write_video(prefix / f"{mode}_{number}.avi", random_frames(9, 64, 96, seed=number))
                lines.append(f"{mode}_{number}.avi {number}")
        list_file.write_text("\n".join(lines) + "\n")
    # Unchanged but for the size of a step, which this test has no time for.
    result = command(
        REPO / "main.py", "-c", "config.yaml", "--device", "cpu", "--max_iters", 1,
        "--no-validate", "-o", "DATASET.batch_size=1", cwd=tmp_path,
        env={"PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert "docs/migration.md" in result.stderr
    assert "ResNet50_pretrain" in result.stderr or "TSM_k400" in result.stderr
    assert (tmp_path / f"output/{values['model_name']}/metrics.jsonl").is_file()


def test_pretrained_weights_arrive(tmp_path: Path) -> None:
    from paddletsm.models import ResNetTSM, TSMHead
    from paddletsm.models.weights import load_pretrained_backbone

    expected = pretrained_resnet50(tmp_path / "r50.pdparams")
    model = Recognizer2D(ResNetTSM(50), TSMHead(7, 2048))
    head = model.head.fc.weight.numpy().copy()
    load_pretrained_backbone(model, tmp_path / "r50.pdparams")
    for name, tensor in model.backbone.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name], name)
    np.testing.assert_array_equal(model.head.fc.weight.numpy(), head)
