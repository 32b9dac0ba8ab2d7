# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The sentences and headline numbers of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paddletsm.report.collect import Run, TestResult
from paddletsm.utils.text import plural

_METHODS = {"ResNetTSM": "TSM ResNet", "MobileNetV2TSM": "TSM MobileNetV2", "ResNet": "ResNet"}


def percent(value: float | None) -> str:
    """Write 93.75 as "93.75 %" that is not torn apart, None as nothing."""
    return "" if value is None else f"{value:.2f}\u00a0%"


def sentence(run: Run) -> str:
    """What was trained, and how it went."""
    model = _part(run.config, "MODEL")
    backbone, head = _part(model, "backbone"), _part(model, "head")
    name = str(backbone.get("name") or "A network")
    text = _METHODS.get(name, name)
    if backbone.get("depth"):
        text += f"-{backbone['depth']}"
    width = backbone.get("width")
    if width not in (None, 1, 1.0):
        text += f" of width {width:g}"
    segments = backbone.get("num_seg")
    if segments:
        text += f" with {segments} frames per clip"
    classes = head.get("num_classes") or (len(run.test.names) if run.test else None)
    if classes:
        text += f" for {plural(int(classes), 'class')}".replace("classs", "classes")
    return f"{text}{_trained(run)}."


def _trained(run: Run) -> str:
    train = run.of_split("train")
    if not train:
        return ", tested"
    epochs, planned = int(train[-1].get("epoch", 0)), run.config.get("epochs")
    text = f", trained for {plural(epochs, 'epoch')}"
    if isinstance(planned, int) and planned > epochs:
        text += f" of {planned}"
    clips = run.environment.get("training_clips")
    if clips:
        text += f" on {plural(int(clips), 'clip')}"
    best = best_validation(run)
    if best:
        text += f"; the best validation was epoch {best['epoch']}"
    return text


def best_validation(run: Run) -> Mapping[str, Any] | None:
    """The validation whose weights are kept as the best: highest top-1 or mAP, then lowest loss."""
    key = accuracy_key(run)
    valid = [r for r in run.of_split("valid") if r.get(key) is not None]
    if not valid:
        return None
    return max(valid, key=lambda r: (r[key], -_or(r.get("loss"), float("inf"))))


def accuracy_key(run: Run) -> str:
    """What validations are compared by: "top1", or "mAP" where clips have several labels."""
    return "mAP" if _part(run.config, "MODEL").get("loss") == "bce" else "top1"


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def headline(run: Run) -> list[tuple[str, str]]:
    """Numbers with what they mean."""
    items = []
    test = run.test
    if test is not None:
        values = test.metrics
        items = [
            (percent(values.get("top1")), f"test top-1{_interval_text(test)}"),
            (percent(values.get("top5")), "test top-5"),
            (percent(values.get("mean_class")), "mean over classes"),
            (str(values.get("num_samples", "")), f"test clips, {protocol(test)}"),
        ]
        if test.is_multi_label:
            items[:3] = [
                (percent(values.get("mAP")), "test mAP"),
                (percent(values.get("hit1")), "the best class is a label"),
                (percent(values.get("exact")), "all labels right, and no other"),
            ]
        elif len(test.names) <= 5:
            del items[1]  # top-5 of five classes says nothing
        if values.get("num_failed"):
            items.append((str(values["num_failed"]), "test clips could not be read"))
    best = best_validation(run)
    if best:
        key = accuracy_key(run)
        name = key.replace("top1", "top-1")
        items.append((percent(best[key]), f"best validation {name}, epoch {best['epoch']}"))
    if test is None:
        items.append(("none", "tests so far: main.py --test -c CONFIG"))
    return [(value, text) for value, text in items if value]


def _interval_text(test: TestResult) -> str:
    if test.interval is None:
        return ""
    return f", 95 % interval {test.interval[0]:.2f} to {test.interval[1]:.2f}"


def protocol(test: TestResult) -> str:
    """Protocol in words: its name, frames, clips and crops."""
    facts_ = test.protocol
    sizes = [
        plural(int(facts_[key]), word)
        for key, word in (("segments", "frame"), ("clips", "clip"), ("crops", "crop"))
        if isinstance(facts_.get(key), int)
    ]
    text = " \u00d7 ".join(sizes)
    if facts_.get("name"):
        text = f"{facts_['name']}: {text}" if text else str(facts_["name"])
    if test.order != "ordered":
        text += f", {test.order}"
    return text


def probe_verdict(run: Run) -> str:
    """What the accuracy with reordered frames says about the use of motion."""
    probe = run.probe
    ordered, classes = probe["ordered"], len(probe["ordered"].names)
    others = {order: test for order, test in probe.items() if order != "ordered"}
    lower = [order for order, test in others.items() if _is_below(test, ordered)]
    more = f" Guessing gives about {100 / classes:.1f} %." if classes else ""
    if ordered is not run.test:
        more += f" The frames in order are those of {ordered.folder.name}."
    if lower:
        told = " and ".join(
            f"{percent(others[order].metrics.get('top1'))} with the frames {order}"
            for order in lower
        )
        return (
            f"Yes: top-1 falls from {percent(ordered.metrics.get('top1'))} to {told}, on the same "
            f"clips with the same weights, by more than the intervals allow for.{more}"
        )
    return (
        "There is no sign of it: with the frames in another order, top-1 stays within the 95 % "
        f"intervals, so single frames may tell these classes apart.{more}"
    )


def _is_below(test: TestResult, other: TestResult) -> bool:
    return bool(test.interval and other.interval and test.interval[1] < other.interval[0])


def facts(run: Run) -> list[tuple[str, str]]:
    """Environment, weights and hashes, in the order of the page."""
    rows = [*_flat(run.environment)]
    if run.test is not None:
        values = run.test.metrics
        told = {key for key, _ in rows}
        for key in ("weights", "weights_sha256", "config_sha256", "pipeline_sha256"):
            if values.get(key):
                rows.append((f"test: {key}", str(values[key])))
        for name, version in _flat(_part(values, "versions")):
            if f"versions: {name}" not in told:
                rows.append((f"test: {name}", version))
    return [(name.replace("_", " "), value) for name, value in rows]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}: ")
        elif value not in (None, ""):
            yield f"{prefix}{key}", str(value)


def _part(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = values.get(key)
    return part if isinstance(part, Mapping) else {}
