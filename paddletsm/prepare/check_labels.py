# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What labels and class names alone tell: gaps, one-based numbers, imbalance, left and right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from paddletsm.data.mirror import tells_direction, wrong_mirrors
from paddletsm.prepare.check_findings import Finding
from paddletsm.utils.text import label_name, listing, plural

IMBALANCE = 10.0  # clips of the largest class per clip of the smallest one


def label_findings(
    labels: Mapping[str, Sequence[int]],
    sources: Mapping[str, str],
    *,
    num_classes: int | None,
    names: Sequence[str] | None,
) -> list[Finding]:
    """Findings about the labels of all splits.

    Args:
        labels: of each split, "train" first when there is one.
        sources: list file or folder of each split, for messages.
        num_classes: as stated, None: the largest label tells.
        names: of the classes, when known.
    """
    found: list[Finding] = []
    first = next(iter(labels))
    shifted = [split for split in labels if _is_one_based(labels, split, first, num_classes)]
    highest = (max(values) - (split in shifted) for split, values in labels.items() if values)
    count = num_classes or max(highest, default=-1) + 1
    for split, values in labels.items():
        counts = Counter(values)
        source = sources[split]
        if split in shifted:
            text = f"labels run from 1 to {max(counts)}, and 0 is not there"
            found.append(Finding("one_based", split, source, "", text))
            continue
        absent = [label for label in range(count) if not counts[label]]
        if absent and counts:
            kind = "label_gap" if split == first else "few_classes"
            shown = listing(label_name(label, names) for label in absent)
            found.append(Finding(kind, split, source, "", f"no clip has label {shown}"))
        if split == first:
            known = Counter({label: counts[label] for label in range(count) if counts[label]})
            found += _imbalance(known, split, source, names)
    return found


def out_of_range(labels: Sequence[int], num_classes: int | None) -> list[int]:
    """Rows whose label is not below the stated number of classes."""
    if num_classes is None or _runs_from_one(labels, num_classes):
        return []
    return [row for row, label in enumerate(labels) if label >= num_classes]


def direction_findings(
    names: Sequence[str] | None,
    *,
    split: str,
    source: str,
    flipped: bool | None,
    label_map: Mapping[int, int] | None = None,
    no_flip: Collection[int] = (),
) -> list[Finding]:
    """Classes that mirroring a clip turns into others.

    Args:
        names: of the classes; None: nothing can be told.
        split: that is trained on.
        source: its list or folder.
        flipped: whether training mirrors clips; None when that is not known.
        label_map: labels that the mirroring exchanges, both ways.
        no_flip: labels whose clips are not mirrored.
    """
    if flipped is False or names is None:
        return []
    if flipped:
        texts = wrong_mirrors(names, label_map or {}, no_flip)
        return [Finding("flip", split, source, "", text) for text in texts]
    left = [label_name(i, names) for i, name in enumerate(names) if tells_direction(name)]
    text = f"mirrored clips would have a wrong label: {listing(left, 6)}"
    return [Finding("direction", split, source, "", text)] if left else []


def _runs_from_one(labels: Sequence[int], num_classes: int) -> bool:
    return bool(labels) and min(labels) == 1 and max(labels) == num_classes


def _is_one_based(
    labels: Mapping[str, Sequence[int]], split: str, first: str, num_classes: int | None
) -> bool:
    values = labels[split]
    if not values or 0 in values:
        return False
    if num_classes is not None:
        return _runs_from_one(values, num_classes)
    if split == first:
        return min(values) == 1
    # Of a later split class 0 may simply have no clip; the first one tells how many there are.
    train = labels[first]
    return bool(train) and 0 in train and max(values) == max(train) + 1


def _imbalance(
    counts: Counter[int], split: str, source: str, names: Sequence[str] | None
) -> list[Finding]:
    if len(counts) < 2:
        return []
    (most, largest), (least, smallest) = counts.most_common()[0], counts.most_common()[-1]
    if largest < IMBALANCE * smallest:
        return []
    text = (
        f"class {label_name(most, names)} has {plural(largest, 'clip')}, class "
        f"{label_name(least, names)} has {smallest}: {largest / smallest:.1f} to 1"
    )
    return [Finding("imbalance", split, source, "", text)]
