# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Record the losses of the first SGD steps of TSM ResNet-50 in PyTorch, as a plain function.

Needs PyTorch (2.13.0 made the stored file) and the reference's recipe:

    python tests/parity/record_training_steps.py ../shared/parity tests/parity/training_steps.json

The network is written out from the parameters' names, in the authors' order of the shift; batch
normalisation keeps its statistics (norm_eval), its affine weights are trained; dropout is off.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

SETTINGS = {
    "model": "tsm_r50",
    "clips": 2,
    "segments": 8,
    "size": 56,
    "labels": [3, 227],
    "learning_rate": 0.01,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "grad_clip": 20.0,
    "steps": 4,
}
BLOCKS = (3, 4, 6, 3)


def shift(x: torch.Tensor, segments: int) -> torch.Tensor:
    """The first eighth takes the next frame, the second the previous one."""
    clips = x.reshape(-1, segments, *x.shape[1:])
    fold = x.shape[1] // 8
    out = torch.zeros_like(clips)
    out[:, :-1, :fold] = clips[:, 1:, :fold]
    out[:, 1:, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold]
    out[:, :, 2 * fold :] = clips[:, :, 2 * fold :]
    return out.reshape(x.shape)


def logits_of(state: dict[str, torch.Tensor], clips: torch.Tensor, segments: int) -> torch.Tensor:
    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, weight, bias = (
            state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=1e-5)

    def unit(x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        inner = f"{name}.conv.net.weight"
        weight = state[inner] if inner in state else state[f"{name}.conv.weight"]
        return norm(F.conv2d(x, weight, stride=stride, padding=padding), f"{name}.bn")

    x = clips.reshape(-1, *clips.shape[2:])
    x = F.max_pool2d(F.relu(unit(x, "backbone.conv1", 2, 3)), 3, 2, 1)
    for stage, blocks in enumerate(BLOCKS, start=1):
        for block in range(blocks):
            name = f"backbone.layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = F.relu(unit(shift(x, segments), f"{name}.conv1"))
            y = F.relu(unit(y, f"{name}.conv2", stride, 1))
            y = unit(y, f"{name}.conv3")
            x = F.relu(y + (unit(x, f"{name}.downsample", stride) if block == 0 else x))
    pooled = x.mean((2, 3))
    per_frame = F.linear(pooled, state["cls_head.fc_cls.weight"], state["cls_head.fc_cls.bias"])
    return per_frame.reshape(-1, segments, per_frame.shape[1]).mean(1)


def record(parity: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("parity_fill", parity / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    arrays = fill.state_dict(fill.load_recipe(parity / "recipe.json"), SETTINGS["model"])
    multipliers = json.loads((parity / "optim_groups.json").read_text())["tsm_r50"]["lr_wd_mult"]
    state = {key: torch.from_numpy(value) for key, value in arrays.items()}
    for key in multipliers:
        state[key].requires_grad_(True)
    optimizer = torch.optim.SGD(
        [
            {
                "params": [state[key]],
                "lr": SETTINGS["learning_rate"] * rate,
                "weight_decay": SETTINGS["weight_decay"] * decay,
            }
            for key, (rate, decay) in multipliers.items()
        ],
        lr=SETTINGS["learning_rate"],
        momentum=SETTINGS["momentum"],
    )
    shape = (SETTINGS["clips"], SETTINGS["segments"], SETTINGS["size"])
    clips = torch.from_numpy(fill.make_input("blocky", *shape))
    labels = torch.tensor(SETTINGS["labels"])
    losses, norms = [], []
    for _ in range(SETTINGS["steps"]):
        loss = F.cross_entropy(logits_of(state, clips, SETTINGS["segments"]), labels)
        optimizer.zero_grad()
        loss.backward()
        parameters = [state[key] for key in multipliers]
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, SETTINGS["grad_clip"])))
        optimizer.step()
        losses.append(float(loss.detach()))
    versions = {"torch": torch.__version__}
    return {"settings": SETTINGS, "losses": losses, "grad_norms": norms, "versions": versions}


if __name__ == "__main__":
    result = record(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(result, indent=1) + "\n")
    print(result["losses"], result["grad_norms"])
