# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Dividing clips into training, validation and test: stratified, recordings kept whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from paddletsm.errors import DataError
from paddletsm.utils.text import listing


@dataclass
class _State:
    """Clips per class that training still has and that the part being filled still needs."""

    clips: Mapping[str, Counter[int]]  # of a recording: clips per class
    rest: Counter[int]  # recordings per class that are left for training
    need: dict[int, int] = field(default_factory=dict)

    def gain(self, recording: str) -> int:
        """By how many clips the part comes nearer to what it needs."""
        return sum(
            abs(self.need[label]) - abs(self.need[label] - count)
            for label, count in self.clips[recording].items()
        )

    def can_leave(self, recording: str, keep: int) -> bool:
        """Whether every class keeps ``keep`` recordings without this one."""
        return all(self.rest[label] > keep for label in self.clips[recording])

    def take(self, recording: str) -> None:
        for label, count in self.clips[recording].items():
            self.need[label] -= count
            self.rest[label] -= 1


def split_clips(
    labels: Sequence[int],
    recordings: Sequence[str],
    fractions: Mapping[str, float],
    *,
    seed: int,
    class_names: Sequence[str],
) -> list[str]:
    """Divide clips so that no recording is in two parts and every class is in each.

    Recordings are taken in a seeded random order; one goes to a part if that brings the part's
    number of clips per class nearer to the fraction.

    Args:
        labels: class of each clip.
        recordings: of each clip; equal texts are one recording, of one class or several.
        fractions: part to share of the clips, such as {"val": 0.1, "test": 0.1}; the rest is
            "train".
        seed: of the order.
        class_names: for messages.

    Returns:
        The part of each clip.

    Raises:
        DataError: a class with too few recordings to be in every part.
    """
    clips: dict[str, Counter[int]] = defaultdict(Counter)
    for label, recording in zip(labels, recordings, strict=True):
        clips[recording][label] += 1
    rest = Counter(label for counts in clips.values() for label in counts)
    _check_enough(rest, len(fractions) + 1, class_names)
    names = sorted(clips)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    totals = Counter(labels)
    state = _State(clips, rest)
    part_of: dict[str, str] = {}
    for number, (part, fraction) in enumerate(fractions.items(), 1):
        keep = len(fractions) - number + 1  # for training and the parts to come
        state.need = {c: max(1, round(fraction * total)) for c, total in totals.items()}
        free = [recording for recording in order if recording not in part_of]
        for recording in _chosen(state, free, keep):
            part_of[recording] = part
        _check_full(state, totals, fraction, part, class_names)
    return [part_of.get(recording, "train") for recording in recordings]


def _chosen(state: _State, free: Sequence[str], keep: int) -> list[str]:
    """Take recordings for one part; a class that would get none gets its smallest one."""
    taken = []
    for recording in free:
        if state.gain(recording) > 0 and state.can_leave(recording, keep):
            state.take(recording)
            taken.append(recording)
    have = {label for recording in taken for label in state.clips[recording]}
    for label in sorted(set(state.need) - have):
        if any(label in state.clips[recording] for recording in taken):
            continue  # came with another class's
        able = [
            recording
            for recording in free
            if label in state.clips[recording]
            and recording not in taken
            and state.can_leave(recording, keep)
        ]
        if able:
            best = max(able, key=state.gain)
            state.take(best)
            taken.append(best)
    return taken


def _check_enough(rest: Counter[int], parts: int, class_names: Sequence[str]) -> None:
    few = [label for label in sorted(rest) if rest[label] < parts]
    if few:
        shown = listing((f"{class_names[label]!r} ({rest[label]})" for label in few), 5)
        raise DataError(
            f"{parts} parts need {parts} recordings of every class, but there are too few of "
            f"{shown}; add recordings, leave the class out, or, where clips of one recording may "
            "be in both training and validation, which flatters the validation: --group none"
        )


def _check_full(
    state: _State,
    totals: Mapping[int, int],
    fraction: float,
    part: str,
    class_names: Sequence[str],
) -> None:
    empty = [
        label
        for label, need in state.need.items()
        if need == max(1, round(fraction * totals[label]))
    ]
    if empty:
        shown = listing((repr(class_names[label]) for label in sorted(empty)), 5)
        raise DataError(
            f"no recording of {shown} can go to {part!r}: each is shared with a class that needs "
            "it for training; another --seed, other fractions, or --group none may help"
        )
