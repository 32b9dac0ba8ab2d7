# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which classes a mirror image turns into another one, as far as their names tell."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from paddletsm.utils.text import label_name, listing

_WORDS = re.compile(r"左|右|逆时针|顺时针|[a-z]+|\d+|[^\W_]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TURNS = re.compile(r"\b(counter|anti)[\s_-]+clockwise\b|\b(ccw|acw|anticlockwise)\b")
_ENDINGS = ("", "s", "ward", "wards", "hand", "handed", "most", "side")
_OPPOSITES = {
    "clockwise": "counterclockwise",
    "顺时针": "逆时针",
    "左": "右",
    **{f"left{ending}": f"right{ending}" for ending in _ENDINGS},
}
_OPPOSITES |= {other: word for word, other in _OPPOSITES.items()}


@dataclass(frozen=True)
class MirrorPolicy:
    """What a mirror image does to the classes.

    Attributes:
        pairs: classes that it exchanges, (smaller, larger) label.
        alone: classes that name a direction, whose opposite is no class: never to be mirrored.
    """

    pairs: tuple[tuple[int, int], ...] = ()
    alone: tuple[int, ...] = ()


def mirror_policy(names: Sequence[str]) -> MirrorPolicy:
    """Find names with left, right, clockwise or counter-clockwise, and their opposites.

    Words are compared, not letters: "bright" names no direction. What a name does not tell, as the
    hand of a sign or the reading of a text, is not found.
    """
    words = [_words(name) for name in names]
    labels = {name: label for label, name in enumerate(words)}
    pairs, alone = [], []
    for label, name in enumerate(words):
        if not _OPPOSITES.keys() & set(name):
            continue
        other = labels.get(_mirrored(name))
        if other is None or other == label:
            alone.append(label)
        elif label < other:
            pairs.append((label, other))
    return MirrorPolicy(tuple(pairs), tuple(alone))


def tells_direction(name: str) -> bool:
    """Whether a class name says left or right, or clockwise or its opposite."""
    return bool(_OPPOSITES.keys() & set(_words(name)))


def wrong_mirrors(
    names: Sequence[str], label_map: Mapping[int, int], no_flip: Collection[int] = ()
) -> list[str]:
    """Tell what a random flip makes of labels that the names contradict.

    Args:
        names: of the classes, in the order of their labels.
        label_map: labels that the flip exchanges, both ways.
        no_flip: labels whose clips it never mirrors.

    Returns: up to two sentences: the classes that name a direction, whose clips are mirrored and
        keep their label; and the exchanged pairs that name directions, and are no mirror images of
        each other.
    """
    directed = [label for label, name in enumerate(names) if tells_direction(name)]
    kept = [label for label in directed if label not in label_map and label not in no_flip]
    crossed = [
        (label, label_map[label])
        for label in directed
        if label_map.get(label, -1) > label
        and label_map[label] in directed
        and _mirrored(_words(names[label])) != _words(names[label_map[label]])
    ]
    found = []
    if kept:
        shown = listing((label_name(label, names) for label in kept), 6)
        found.append(f"training mirrors clips and keeps their label: {shown}")
    if crossed:
        shown = listing((" and ".join(label_name(k, names) for k in pair) for pair in crossed), 3)
        found.append(f"label_map exchanges what no mirror image does: {shown}")
    return found


def _mirrored(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_OPPOSITES.get(word, word) for word in words)


def _words(name: str) -> tuple[str, ...]:
    """Words of a class name in small letters, all spellings of counter-clockwise as one."""
    text = _CAMEL.sub(" ", name).lower()
    spaced = _TURNS.sub("counterclockwise", text.replace("_", " "))
    return tuple("clockwise" if word == "cw" else word for word in _WORDS.findall(spaced))
