# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""PaddleVideo's eight TSM and TSN configs, rebuilt from their keys and values."""

from __future__ import annotations

from typing import Any

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

NAMES = (
    "tsm_k400_frames",
    "tsm_k400_frames_nhwc",
    "tsm_k400_videos",
    "tsm_ucf101_frames",
    "tsm_ucf101_frames_nhwc",
    "tsm_ucf101_videos",
    "tsn_k400_frames",
    "tsn_k400_videos",
)


def make(name: str) -> dict[str, Any]:
    """One file as parsed YAML."""
    is_tsn, is_ucf = name.startswith("tsn"), "ucf101" in name
    is_frames, is_nhwc = "frames" in name, name.endswith("nhwc")
    backbone = {
        "name": "ResNet" if is_tsn else "ResNetTSM",
        "pretrained": "data/TSM_k400.pdparams" if is_ucf else "data/ResNet50_pretrain.pdparams",
        "depth": 50,
    }
    head = {
        "name": "TSNHead" if is_tsn else "TSMHead",
        "num_classes": 101 if is_ucf else 400,
        "in_channels": 2048,
        "drop_ratio": 0.4 if is_tsn else 0.8 if is_ucf else 0.5,
        "std": 0.01 if is_tsn else 0.001,
    }
    if not is_tsn:
        backbone["num_seg"] = 8
    if is_nhwc:
        backbone["data_format"] = head["data_format"] = "NHWC"
    values = {
        "MODEL": {"framework": "Recognizer2D", "backbone": backbone, "head": head},
        "DATASET": _dataset(is_ucf, is_frames, is_tsn),
        "PIPELINE": {
            mode: _pipeline(mode, is_tsn, is_frames, is_nhwc) for mode in ("train", "valid", "test")
        },
        "OPTIMIZER": {
            "name": "Momentum",
            "momentum": 0.9,
            "learning_rate": {
                "name": "PiecewiseDecay",
                "boundaries": [10, 20] if is_ucf else [40, 80] if is_tsn else [20, 40],
                "values": [0.001, 0.0001, 1e-05] if is_ucf else [0.02, 0.002, 0.0002],
            },
            **({} if is_ucf else {"weight_decay": {"name": "L2", "value": 0.0001}}),
            "grad_clip": {"name": "ClipGradByGlobalNorm", "value": 40.0 if is_tsn else 20.0},
        },
        "METRIC": {"name": "CenterCropMetric"},
        "model_name": "TSN" if is_tsn else "TSM",
        "log_interval": 20,
        "save_interval": 10,
        "epochs": 25 if is_ucf else 100 if is_tsn else 50,
        "log_level": "INFO",
    }
    if not is_nhwc:
        values["INFERENCE"] = {
            "name": f"pp{'TSN' if is_tsn else 'TSM'}_Inference_helper",
            "num_seg": 25 if is_tsn else 8,
            "target_size": 224,
        }
    return values


def _dataset(is_ucf: bool, is_frames: bool, is_tsn: bool) -> dict[str, Any]:
    folder = "data/ucf101" if is_ucf else "data/k400"
    kind = "rawframes" if is_frames else "videos"
    result: dict[str, Any] = {"batch_size": 16, "num_workers": 4}
    if is_tsn:
        result.update(valid_batch_size=32, test_batch_size=1)
    for mode in ("train", "valid", "test"):
        part = "train" if mode == "train" else "val"
        list_name = f"ucf101_{part}_split_1_{kind}.txt" if is_ucf else f"{part}.list"
        split = {
            "format": "FrameDataset" if is_frames else "VideoDataset",
            "data_prefix": "" if is_ucf else f"data/k400/{kind}",
            "file_path": f"{folder}/{list_name}",
        }
        if is_frames:
            split["suffix"] = "img_{:05}.jpg"
        elif is_ucf:
            split["suffix"] = ".avi"
        result[mode] = split
    return result


def _pipeline(mode: str, is_tsn: bool, is_frames: bool, is_nhwc: bool) -> dict[str, Any]:
    decode = {"name": "FrameDecoder" if is_frames else "VideoDecoder"}
    if is_tsn and not is_frames:
        decode["backend"] = "decord"
    num_seg = (25 if mode == "test" else 3) if is_tsn else 8
    sample = {
        "name": "Sampler",
        "num_seg": num_seg,
        "seg_len": 1,
        "valid_mode": mode != "train",
        "select_left": True,
    }
    cv2 = {"do_round": True, "backend": "cv2"} if is_tsn else {}
    scale = {"Scale": {"short_size": 256, "fixed_ratio": False, **cv2}}
    if mode == "train":
        crop: dict[str, Any] = {"target_size": 224, "allow_duplication": True}
        if is_tsn:
            crop.update(more_fix_crop=False, backend="cv2")
        transform = [{"MultiScaleCrop": crop}, {"RandomFlip": None}]
        if is_tsn:
            transform.insert(0, scale)
    elif mode == "test" and is_tsn:
        transform = [scale, {"TenCrop": {"target_size": 224}}]
    else:
        rounding = {"do_round": False} if is_tsn else {}
        transform = [scale, {"CenterCrop": {"target_size": 224, **rounding}}]
    normal: dict[str, Any] = {"mean": MEAN, "std": STD}
    if is_nhwc:
        transform.append({"Image2Array": {"transpose": False}})
        normal["tensor_shape"] = [1, 1, 3]
    else:
        transform.append({"Image2Array": None})
    return {
        "decode": decode,
        "sample": sample,
        "transform": [*transform, {"Normalization": normal}],
    }
