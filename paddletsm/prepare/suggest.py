# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A configuration for a data set and a machine; every choice comes with its reason.

The numbers come from published recipes for TSM (configs/README.md names them), scaled to the size
of the data set, and from what was measured with this package.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from paddletsm.data.mirror import MirrorPolicy, mirror_policy
from paddletsm.prepare.machine import Machine
from paddletsm.prepare.suggest_data import DataFacts, Source
from paddletsm.prepare.suggest_text import Choice, render
from paddletsm.utils.text import listing, plural

# Megabytes that one training clip of 8 x 224 x 224 adds: peak memory of a step with 3 clips less
# that with 1, halved (Paddle 3.3.1, CPU, float32).
_CLIP_MB = {"resnet50": 1040, "resnet18": 311, "mobilenetv2": 561}
_FIXED_MB = 2000  # Paddle itself, weights, gradients, momentum, workspace
_SMALL_SET = 20_000  # clips; below it pretrained weights are only adjusted
_SMALL_FRAMES = 96  # pixels
_UNBALANCED = 3.0


@dataclass(frozen=True)
class Suggestion:
    """A configuration as text, and what to know before it is used."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Network:
    """Which network on which frames."""

    family: str
    backbone: dict[str, Any]
    short_size: int
    crop: int
    reason: str
    size_reason: str

    @property
    def clip_mb(self) -> float:
        """Memory that one training clip takes."""
        width = self.backbone.get("width", 1.0)
        return _CLIP_MB[self.family] * width * (self.crop / 224) ** 2


@dataclass
class _Draft:
    """Choices in the order of the file, and notes."""

    facts: DataFacts
    machine: Machine
    pretrained: str | None
    network: _Network
    choices: list[Choice] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, path: str, value: Any, reason: str = "") -> None:
        self.choices.append(Choice(tuple(path.split(".")), value, reason))

    @property
    def room_mb(self) -> float:
        """Memory for clips on one device; without limit where it is not known."""
        memory = self.machine.memory_mb
        return max(0.0, memory * 0.8 - _FIXED_MB) if memory else float("inf")

    @property
    def is_tuning(self) -> bool:
        """Whether pretrained weights are only adjusted."""
        return self.pretrained is not None and self.facts.num_train < _SMALL_SET


def suggest(
    facts: DataFacts, machine: Machine, *, name: str | None = None, pretrained: str | None = None
) -> Suggestion:
    """Choose network, batch, schedule, batch normalisation, flips and balance.

    Args:
        facts: the data set.
        machine: what trains.
        name: of the run; by default "TSM_" and the name of the data set's folder.
        pretrained: weights of the backbone to start from.
    """
    draft = _Draft(facts, machine, pretrained, _network(facts, machine, pretrained))
    name = name or "TSM_" + (re.sub(r"[^A-Za-z0-9_.-]+", "_", facts.name).strip("._-") or "clips")
    draft.add("model_name", name[:80])
    _choose_model(draft)
    _choose_data(draft)
    _choose_pipeline(draft)
    _choose_schedule(draft)
    _warn(draft)
    header = [
        f"{facts.name}: {facts.num_train} training clips, {facts.num_classes} classes, "
        f"{facts.num_valid} for validation; clips of about {facts.num_frames} frames, short side "
        f"{facts.short_side} pixels. For {machine}.",
        "Suggested from published recipes and the facts above; not trained yet.",
    ]
    return Suggestion(render(draft.choices, header), tuple(draft.notes))


def _network(facts: DataFacts, machine: Machine, pretrained: str | None) -> _Network:
    """Network and frame size for the device, the data and the weights."""
    short_size, crop, size_reason = _frame_size(facts, machine)
    known = Path(pretrained).name.lower() if pretrained else ""
    if "mobilenet" in known:
        backbone = {"name": "MobileNetV2TSM"}
        reason = "the network that the name of the pretrained weights tells"
        return _Network("mobilenetv2", backbone, short_size, crop, reason, size_reason)
    family, width = "resnet50", 1.0
    if pretrained and re.search(r"r(es)?n?e?t?_?18", known):
        family, reason = "resnet18", "the network that the name of the pretrained weights tells"
    elif pretrained:
        reason = "the network of nearly all published TSM weights"
    elif machine.device == "cpu" or facts.short_side <= _SMALL_FRAMES:
        family, width = "resnet18", 0.25 if facts.short_side <= _SMALL_FRAMES else 0.5
        reason = (
            "a narrow ResNet-18: ResNet-50 at 224 pixels has about 30 times the multiplications of "
            "half width at 112, too many for a CPU"
            if machine.device == "cpu"
            else "a narrow ResNet-18: frames this small hold no detail for a larger network"
        )
    elif facts.num_train < 5000:
        family = "resnet18"
        reason = (
            "few clips and no pretrained weights: a larger network would learn them by heart. With "
            "weights (--pretrained) a ResNet-50 is suggested, and far better"
        )
    else:
        reason = "ResNet-50 with 8 frames, the network of most published TSM figures"
    backbone = {"name": "ResNetTSM", "depth": int(family.removeprefix("resnet"))}
    if width != 1.0:
        backbone["width"] = width
    return _Network(family, backbone, short_size, crop, reason, size_reason)


def _frame_size(facts: DataFacts, machine: Machine) -> tuple[int, int, str]:
    """Short side to resize to, side of the crop, and why."""
    if facts.short_side <= _SMALL_FRAMES:
        crop = max(32, facts.short_side * 7 // 8 // 8 * 8)
        side = max(facts.short_side, crop)
        return side, crop, "the clips' own size, and 7/8 of it: enlarging adds no detail"
    if machine.device == "cpu":
        return 128, 112, "a quarter of the usual pixels (256 and 224), for the CPU's sake"
    return 256, 224, "the size of all published recipes, and of pretrained weights"


def _choose_model(draft: _Draft) -> None:
    facts, network = draft.facts, draft.network
    draft.add("MODEL.framework", "Recognizer2D")
    backbone = {**network.backbone, "num_seg": 8}
    for key, value in backbone.items():
        reason = network.reason if key == "name" else ""
        if key == "num_seg":
            reason = (
                "8 frames of each clip; 16 cost twice as much, for published gains of 0.1 "
                "(UCF101) to 5.6 points (Diving48)"
            )
        draft.add(f"MODEL.backbone.{key}", value, reason)
    if draft.is_tuning:
        draft.add(
            "MODEL.backbone.partial_bn",
            True,
            "batch normalisation stays as it was pretrained, except the first: with "
            f"{facts.num_train} clips its statistics would be worse. Published for UCF101: 95.85 "
            "with, 93.32 without",
        )
    elif draft.pretrained is None:
        draft.add(
            "MODEL.backbone.partial_bn",
            False,
            "random weights have no statistics to keep: batch normalisation learns",
        )
    if draft.pretrained:
        draft.add("MODEL.backbone.pretrained", draft.pretrained, "what the network starts from")
    draft.add("MODEL.head.name", "TSMHead")
    if facts.names is None:
        draft.add(
            "MODEL.head.num_classes",
            facts.num_classes,
            "the largest label of the training list, and 1; the classes have no names",
        )
    draft.add("MODEL.head.drop_ratio", *_dropout(draft))
    draft.add("MODEL.head.std", 0.001)


def _dropout(draft: _Draft) -> tuple[float, str]:
    if draft.is_tuning:
        return 0.8, "few clips on pretrained weights: the value of the UCF101 recipe"
    if draft.network.backbone.get("width", 1.0) < 1:
        return 0.2, "a narrow network has little to drop"
    return 0.5, "the value of the published recipes"


def _choose_data(draft: _Draft) -> None:
    facts, machine = draft.facts, draft.machine
    batch, accumulate, reason = _batch(draft)
    draft.add("DATASET.batch_size", batch, reason)
    workers = 0 if machine.device == "cpu" else max(1, min(8, machine.cores // machine.count - 1))
    draft.add(
        "DATASET.num_workers",
        workers,
        "reading would take the cores that train"
        if machine.device == "cpu"
        else f"readers per GPU, of {plural(machine.cores, 'core')} in all",
    )
    present = [count for count in facts.counts if count]
    ratio = max(present) / min(present)
    if ratio >= _UNBALANCED:
        draft.add(
            "DATASET.sampling",
            "balanced",
            f"the largest class has {ratio:.1f} times the clips of the smallest ({max(present)}, "
            f"{min(present)}): every class is drawn as often",
        )
    if facts.names_file:
        draft.add("DATASET.class_names", facts.names_file)
    for key, source in (("train", facts.train), ("valid", facts.valid), ("test", facts.test)):
        if source is not None:
            draft.add(f"DATASET.{key}", _stated(source))
    if accumulate > 1:
        draft.add(
            "OPTIMIZER.accumulate_steps",
            accumulate,
            f"gradients of {accumulate} batches are added up: {batch} x {accumulate} x "
            f"{machine.count} = {batch * accumulate * machine.count} clips per step",
        )


def _stated(source: Source) -> dict[str, str]:
    values = {key: value for key, value in asdict(source).items() if value}
    if source.format == "VideoDataset":
        del values["format"]
    return values


def _target(draft: _Draft) -> int:
    """Clips of one step over all devices."""
    clips = draft.facts.num_train
    if draft.machine.device == "gpu" and clips >= 2000:
        return 64
    return 16 if clips >= 160 else 8 if clips >= 40 else 4


def _batch(draft: _Draft) -> tuple[int, int, str]:
    """Clips per device, batches per step, and why."""
    machine, target, clip_mb = draft.machine, _target(draft), draft.network.clip_mb
    wanted = max(1, -(-target // machine.count))
    fits = int(min(wanted, max(1, draft.room_mb / clip_mb)))
    reason = (
        f"about {target} clips per step suit {draft.facts.num_train} training clips; a clip takes "
        f"about {clip_mb:.0f} MB"
    )
    if fits < wanted:
        memory = machine.memory_mb / 1000
        reason += f", and {draft.room_mb / 1000:.1f} of {memory:.1f} GB are left for clips"
    accumulate = -(-wanted // fits)
    return max(1, wanted // accumulate), accumulate, reason


def _choose_pipeline(draft: _Draft) -> None:
    network = draft.network
    scale = {"Scale": {"short_size": network.short_size}}
    flip, flip_reason = _flip(draft.facts)
    train = [scale, {"MultiScaleCrop": {"target_size": network.crop}}, *flip, {"Normalization": {}}]
    valid = [scale, {"CenterCrop": {"target_size": network.crop}}, {"Normalization": {}}]
    sample_reason = "one frame of each of 8 equal parts of the clip"
    if draft.facts.num_frames < 8:
        sample_reason += "; the clips are shorter, so frames repeat"
    draft.add("PIPELINE.train.sample", {"name": "Sampler"}, sample_reason)
    draft.add("PIPELINE.train.transform", train, f"{network.size_reason}. {flip_reason}")
    draft.add("PIPELINE.valid.sample", {"name": "Sampler"})
    draft.add(
        "PIPELINE.valid.transform",
        valid,
        "the protocol 'efficient': one clip, centre crop; --test --protocol accurate takes six "
        "views and six times as long",
    )


def _flip(facts: DataFacts) -> tuple[list[dict[str, Any]], str]:
    """The mirroring transform, if any, and why."""
    if facts.names is None:
        return [], "No mirroring: without class names nobody knows which mean left or right"
    policy = mirror_policy(facts.names)
    if policy == MirrorPolicy():
        return (
            [{"RandomFlip": {}}],
            "Half of the clips are mirrored: no class name says left, right or clockwise. Take "
            "RandomFlip out if a mirror image changes what is shown (text, the hand of a sign)",
        )
    arguments: dict[str, Any] = {}
    reasons = []
    if policy.pairs:
        arguments["label_map"] = [list(pair) for pair in policy.pairs]
        named = [f"{facts.names[a]} / {facts.names[b]}" for a, b in policy.pairs]
        reasons.append(f"mirrored clips change their label: {listing(named, 6)}")
    if policy.alone:
        arguments["no_flip"] = list(policy.alone)
        named = [facts.names[label] for label in policy.alone]
        reasons.append(f"never mirrored, their opposite is no class: {listing(named, 6)}")
    return [{"RandomFlip": arguments}], "Half of the clips are mirrored; " + "; ".join(reasons)


def _choose_schedule(draft: _Draft) -> None:
    clips = draft.facts.num_train
    batch, accumulate, _ = _batch(draft)
    total = batch * accumulate * draft.machine.count
    rate = "OPTIMIZER.learning_rate"
    draft.add("OPTIMIZER.momentum", 0.9)
    if draft.pretrained is not None:
        base, reference, epochs, drops = _published(draft)
        recipe = "UCF101 from Kinetics weights" if draft.is_tuning else "Kinetics-400"
        values = [round(base * total / reference / 10**k, 9) for k in range(3)]
        draft.add(f"{rate}.name", "PiecewiseDecay", f"the published schedule for {recipe}")
        draft.add(f"{rate}.boundaries", drops)
        draft.add(f"{rate}.values", values, f"{base} for {reference} clips, scaled to {total}")
        epochs_reason = f"published for {recipe}: {25 if draft.is_tuning else 50}"
        if draft.is_tuning and epochs != 25:
            epochs_reason += "; twice as many here, because an epoch of so few clips is short"
    else:
        epochs = min(100, max(30, round(48_000 / clips)))
        base = round(min(0.01 * total / 16, 0.02), 6)
        draft.add(f"{rate}.name", "CosineDecay", "falls smoothly; nothing to tune but the height")
        draft.add(
            f"{rate}.base",
            base,
            f"0.01 for 16 clips, as configs/tsm_motion.yaml, scaled to {total}; at most 0.02, the "
            "highest of the published TSM recipes",
        )
        draft.add(f"{rate}.warmup_epochs", 1, "random weights bear no high rate at first")
        epochs_reason = (
            f"{clips} clips x {epochs} epochs; configs/tsm_motion.yaml needs 48,000 clips from "
            "random weights, and fewer than 30 or more than 100 epochs are rarely right"
        )
    draft.add(
        f"{rate}.total_batch_size",
        total,
        "what the rates are for; with other batches or devices they are scaled",
    )
    draft.add("OPTIMIZER.weight_decay", {"value": 0.0001})
    draft.add("OPTIMIZER.grad_clip", {"value": 20.0})
    draft.add("epochs", epochs, epochs_reason)
    if draft.machine.device == "gpu" and draft.machine.count > 1 and batch < 4:
        draft.add(
            "sync_bn",
            True,
            f"{plural(batch, 'clip')} per GPU: statistics over the batches of all GPUs are better",
        )
    draft.add("log_interval", max(1, min(20, clips // (batch * draft.machine.count))))


def _published(draft: _Draft) -> tuple[float, int, int, list[int]]:
    """Learning rate and the clips per step it is for, epochs, and where the rate drops."""
    if not draft.is_tuning:
        return 0.01, 64, 50, [20, 40]
    return (
        (0.0015, 96, 25, [10, 20]) if draft.facts.num_train >= 2000 else (0.0015, 96, 50, [20, 40])
    )


def _warn(draft: _Draft) -> None:
    facts = draft.facts
    names = facts.names or [f"class {label}" for label in range(facts.num_classes)]
    absent = [names[label] for label, count in enumerate(facts.counts) if not count]
    few = [names[label] for label, count in enumerate(facts.counts) if 0 < count < 10]
    if absent:
        draft.notes.append(f"classes without a training clip: {listing(absent, 6)}")
    if few:
        draft.notes.append(f"classes with fewer than 10 training clips: {listing(few, 6)}")
    if draft.pretrained is None:
        draft.notes.append(
            "no pretrained weights: on small sets they matter more than anything else here. Give "
            "those of Kinetics-400 or ImageNet with --pretrained FILE (any source that "
            "tools/convert_weights.py knows)"
        )
    if draft.room_mb < draft.network.clip_mb:
        draft.notes.append(
            f"the memory may not suffice for one clip ({draft.network.clip_mb:.0f} MB beside "
            f"{_FIXED_MB} MB that are always needed): a smaller crop or network may be needed"
        )
    if draft.machine.device == "gpu":
        draft.notes.append("--amp trains in mixed precision, with about half of the memory")
