# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The labels of lists, which are worth a top-1 only if they are classes of the model."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paddletsm.errors import DataError
from paddletsm.utils.text import nearest, plural

if TYPE_CHECKING:
    from paddletsm.deploy.inputs import Named

logger = logging.getLogger(__name__)


def true_classes(clips: Sequence[Named], labels: Sequence[str]) -> list[int | None]:
    """Class number of each clip; None where its list does not tell.

    A list none of whose labels is a class is one of another data set, or its last column is not
    the label: it is predicted without a top-1, which is said.

    Args:
        clips: with the labels of their lists, names or numbers of classes.
        labels: class names of the model.

    Raises:
        DataError: some labels of a list are classes of the model, others are not.
    """
    numbers = {name: number for number, name in reversed(list(enumerate(labels)))}
    found = [_class_of(clip.label, numbers) for clip in clips]
    unknown: dict[str, list[Named]] = defaultdict(list)
    known: set[str] = set()
    for clip, number in zip(clips, found, strict=True):
        source = clip.where.rpartition(":")[0]
        if number is not None:
            known.add(source)
        elif clip.label is not None:
            unknown[source].append(clip)
    for source, wrong in unknown.items():
        if source in known:
            raise DataError(_refusal(wrong, labels))
        logger.warning(
            "%s: none of its labels is a class of the model (%s, the first %r in line %s%s): no "
            "top-1 is counted for this list",
            source,
            plural(len(wrong), "label"),
            wrong[0].label,
            wrong[0].where.rpartition(":")[2],
            nearest(wrong[0].label or "", labels).rstrip("?"),
        )
    return found


def top1_text(truths: Sequence[int | None], best: Sequence[int | None]) -> str | None:
    """Say the top-1 of the labelled clips; None where there are none.

    Args:
        truths: class of each clip, None where it is not known.
        best: predicted class of each clip, None where there is no prediction.
    """
    labelled = [pair for pair in zip(truths, best, strict=True) if pair[0] is not None]
    told = [pair for pair in labelled if pair[1] is not None]
    if not told:
        return None
    share = 100 * sum(truth == answer for truth, answer in told) / len(told)
    failed = len(labelled) - len(told)
    without = f", without {failed} that failed" if failed else ""
    return f"top-1 of {plural(len(told), 'labelled clip')}: {share:.2f} %{without}"


def _class_of(label: str | None, numbers: dict[str, int]) -> int | None:
    if label is None:
        return None
    if label in numbers:
        return numbers[label]
    if label.isascii() and label.isdecimal() and int(label) < len(numbers):
        return int(label)
    return None


def _refusal(wrong: Sequence[Named], labels: Sequence[str]) -> str:
    label = wrong[0].label or ""
    if label.lstrip("+-").isdecimal():
        hint = f" (its classes are 0 to {len(labels) - 1})"
    else:
        hint = nearest(label, labels)
    more = f"; so it is with {plural(len(wrong) - 1, 'line')} more" if len(wrong) > 1 else ""
    return (
        f"{wrong[0].where}: the label {label!r}, the last field of the line, is no class of the "
        f"model{hint}{more}. Correct the list (names with blanks in quotes), or leave the labels "
        "out to predict without top-1"
    )
