# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The schema of a configuration: one frozen dataclass per section, named as PaddleVideo names them.

A field without a default is required. ``None`` means "not stated": the component's own default
holds, or the fact is handed on from the place that states it (see ``config/load.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from paddletsm.config.checker import Checker, plain

DataFormat = Literal["NCHW", "NHWC"]


@dataclass(frozen=True)
class Backbone:
    """MODEL.backbone: the network over single frames; see ``paddletsm.models`` for meanings."""

    name: str
    depth: int | None = None
    width: float | None = None
    num_seg: int | None = None
    shift_div: int | None = None
    shift_place: Literal["blockres", "block"] | None = None
    shift_mode: Literal["offline", "online"] | None = None
    shift_padding: Literal["zero", "circulant"] | None = None
    temporal_pool: bool | None = None
    non_local: Literal["embedded_gaussian", "gaussian", "dot_product"] | None = None
    partial_bn: bool | None = None
    norm_eval: bool | None = None
    frozen_stages: int | None = None
    data_format: DataFormat | None = None
    pretrained: str | None = None


@dataclass(frozen=True)
class Head:
    """MODEL.head."""

    name: str
    num_classes: int | None = None
    in_channels: int | None = None
    drop_ratio: float | None = None
    std: float | None = None
    data_format: DataFormat | None = None


@dataclass(frozen=True)
class Model:
    """MODEL."""

    backbone: Backbone
    head: Head
    framework: str = "Recognizer2D"
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    label_smoothing: float = 0.0
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None

    @property
    def is_multi_label(self) -> bool:
        """Whether a clip may have several labels."""
        return self.loss == "bce"

    @property
    def activation(self) -> Literal["softmax", "sigmoid"]:
        """What makes scores of logits."""
        return "sigmoid" if self.is_multi_label else "softmax"


@dataclass(frozen=True)
class Split:
    """DATASET.{train,valid,test}: a list file, or a folder with one sub-folder per class."""

    file_path: str
    format: Literal["VideoDataset", "FrameDataset"] = "VideoDataset"
    data_prefix: str | None = None
    suffix: str | None = None


@dataclass(frozen=True)
class Dataset:
    """DATASET. Batch sizes count clips per process."""

    train: Split
    valid: Split
    test: Split | None = None
    batch_size: int = 8
    valid_batch_size: int | None = None
    test_batch_size: int | None = None
    num_workers: int = 0
    sample_timeout_sec: float = 60.0
    max_bad_fraction: float = 0.05
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    class_names: str | tuple[str, ...] | None = None
    prepare: str | None = None


@dataclass(frozen=True)
class PipelineMode:
    """PIPELINE.{train,valid,test}: decode, sample, transform; checked by ``paddletsm.data``."""

    sample: Mapping[str, Any]
    transform: tuple[Mapping[str, Any], ...]
    decode: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Pipeline:
    """PIPELINE. Without ``test`` the clips are tested as they are validated."""

    train: PipelineMode
    valid: PipelineMode
    test: PipelineMode | None = None


@dataclass(frozen=True)
class LearningRate:
    """OPTIMIZER.learning_rate: rates are those of ``total_batch_size`` clips over all processes."""

    name: Literal["PiecewiseDecay", "CosineDecay"]
    boundaries: tuple[float, ...] | None = None
    values: tuple[float, ...] | None = None
    base: float | None = None
    final: float | None = None
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0
    total_batch_size: int | None = None
    linear_scaling: bool = True


@dataclass(frozen=True)
class WeightDecay:
    """OPTIMIZER.weight_decay."""

    value: float
    name: Literal["L2"] = "L2"


@dataclass(frozen=True)
class GradClip:
    """OPTIMIZER.grad_clip."""

    value: float
    name: Literal["ClipGradByGlobalNorm"] = "ClipGradByGlobalNorm"


@dataclass(frozen=True)
class Optimizer:
    """OPTIMIZER."""

    learning_rate: LearningRate
    name: Literal["Momentum"] = "Momentum"
    momentum: float = 0.9
    use_nesterov: bool = False
    weight_decay: WeightDecay | None = None
    grad_clip: GradClip | None = None
    fc_lr_mult: bool = True
    accumulate_steps: int = 1


@dataclass(frozen=True)
class Mix:
    """MIX: training clips take in a part of another clip of the batch, their labels likewise."""

    name: Literal["Mixup", "Cutmix"]
    alpha: float = 0.2


@dataclass(frozen=True)
class Ema:
    """EMA: validate and save a moving average of the weights."""

    decay: float = 0.9998


@dataclass(frozen=True)
class PreciseBn:
    """PRECISE_BN: statistics over this many training clips before validating and saving."""

    clips: int = 1024


@dataclass(frozen=True)
class Metric:
    """METRIC: the names of PaddleVideo are accepted; all of them are exact top-1 and top-5.

    ``average`` says what is averaged over the views of a clip, in testing and in prediction.
    """

    name: Literal["TopK", "CenterCropMetric", "MultiCropMetric"] = "TopK"
    average: Literal["scores", "logits"] = "scores"


@dataclass(frozen=True)
class Inference:
    """INFERENCE of PaddleVideo's files; prediction always uses PIPELINE.test."""

    name: str | None = None
    num_seg: int | None = None
    target_size: int | None = None


@dataclass(frozen=True)
class Config:
    """A whole configuration, checked and frozen."""

    MODEL: Model
    DATASET: Dataset
    PIPELINE: Pipeline
    OPTIMIZER: Optimizer
    model_name: str
    epochs: int
    METRIC: Metric = field(default_factory=Metric)
    INFERENCE: Inference | None = None
    MIX: Mix | None = None
    EMA: Ema | None = None
    PRECISE_BN: PreciseBn | None = None
    sync_bn: bool = False
    to_static: bool = False
    cudnn_benchmark: bool = False
    log_interval: int = 20
    save_interval: int = 10
    keep_checkpoints: int | None = None
    state_interval: int | None = None
    valid_interval: int = 1
    writers: tuple[Literal["tensorboard", "visualdl"], ...] = ()
    output_dir: str = "output"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    seed: int = 0
    # Not a key: it tells later checks where a value was stated.
    checker: Checker | None = field(default=None, compare=False, repr=False)

    def place(self, *path: str) -> str:
        """Where a key was stated and its name, "own.yaml:5: MODEL.head", for messages."""
        return self.checker.place(path) if self.checker else ".".join(path)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and scalars, without the fields that are not stated."""
        return plain(self)
