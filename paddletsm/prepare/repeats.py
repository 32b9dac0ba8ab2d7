# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips that annotations name more than once: listed once, and never in both splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from paddletsm.errors import DataError
from paddletsm.utils.text import listing, plural

if TYPE_CHECKING:
    from paddletsm.prepare.official import Annotations, Part

Identity = Callable[[str], str]

_SHOWN = 5


def without_repeats(
    annotations: Annotations, identity: Identity
) -> tuple[Annotations, tuple[str, ...]]:
    """Take out what is there twice; a clip of both splits stays in that for validation.

    Published figures are of the whole validation split, which a clip that was trained on would
    flatter.

    Args:
        annotations: as read; the part for training stands before that for validation.
        identity: what two names of one clip have in common.

    Returns:
        The annotations that remain, and a sentence for each kind of repeat, with names.

    Raises:
        DataError: nothing of a part remains.
    """
    told: list[str] = []
    parts: list[Part] = []
    for part in reversed(annotations.parts):
        part = _each_once(part, annotations.class_names, identity, told)
        for later in parts:
            if later.split == part.split:
                part = _apart(part, later, identity, told)
        parts.append(part)
    return replace(annotations, parts=tuple(reversed(parts))), tuple(reversed(told))


def _each_once(
    part: Part, class_names: tuple[str, ...], identity: Identity, told: list[str]
) -> Part:
    """Keep one of equal entries, and none of those that disagree about the label."""
    clips: dict[str, tuple[str, int]] = {}
    labels: dict[str, set[int]] = {}
    again: dict[str, str] = {}
    for name, label in part.clips:
        key = identity(name)
        if key in clips:
            again[key] = _last(name)
        clips.setdefault(key, (name, label))
        labels.setdefault(key, set()).add(label)
    unclear = {key: None for key in again if len(labels[key]) > 1}
    twice = [name for key, name in again.items() if len(labels[key]) == 1]
    if twice:
        count = plural(len(twice), "clip")
        told.append(f"{part.stem}: {count} more than once ({listing(twice, _SHOWN)}); listed once")
    if unclear:
        texts = [
            f"{again[key]}: {' and '.join(repr(class_names[k]) for k in sorted(labels[key]))}"
            for key in unclear
        ]
        told.append(
            f"{part.stem}: {plural(len(unclear), 'clip')} with several labels "
            f"({listing(texts, _SHOWN)}); left out: correct the annotations to keep them"
        )
    kept = tuple(row for key, row in clips.items() if key not in unclear)
    if part.clips and not kept:
        raise DataError(f"{part.stem}: all of its clips have several labels")
    return replace(part, clips=kept)


def _apart(part: Part, later: Part, identity: Identity, told: list[str]) -> Part:
    """Leave out of ``part`` what is also in ``later``."""
    taken = {identity(name) for name, _ in later.clips}
    kept = tuple(row for row in part.clips if identity(row[0]) not in taken)
    shared = [_last(name) for name, _ in part.clips if identity(name) in taken]
    if not shared:
        return part
    if not kept:
        raise DataError(
            f"{part.stem}: all of its clips are also in {later.stem}; is it the same file?"
        )
    told.append(
        f"{part.stem}: {plural(len(shared), 'clip')} also in {later.stem} "
        f"({listing(shared, _SHOWN)}); left out of {part.stem}: what validates is not trained on"
    )
    return replace(part, clips=kept)


def _last(name: str) -> str:
    return name.rpartition("/")[2]
