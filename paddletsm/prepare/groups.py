# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which clips were cut from one recording, told by their names.

Clips of one recording look alike: with some in training and some in validation, the accuracy says
little about new recordings.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

from paddletsm.data.index import VIDEO_SUFFIXES
from paddletsm.errors import ConfigError

RULES = ("ucf", "prefix", "none")

_UCF = re.compile(r"(?i)(.*_g\d+)_c\d+")  # v_ApplyEyeMakeup_g01_c02
_SECONDS = re.compile(r"(.+)_\d{6}_\d{6}")  # Kinetics: abcdefghijk_000010_000020
_NUMBERED = re.compile(
    r"(?i)(.*?[^\W_])[\s_.-]*"  # the recording: ends in a letter or digit
    r"(?:[\s_.-](?:c|s|p|v|clip|part|seg|segment|scene|shot|take|cut|chunk|split)?|clip|part)"
    r"[\s_.-]*(?:\d+|\(\d+\))"
)
_MOSTLY = 0.9  # share of the clips whose names must fit for "ucf" to be enough


def detect_rule(paths: Sequence[str], classes: Sequence[Hashable] | None = None) -> str:
    """Return the rule that fits the names of clips: "ucf", "prefix" or "none".

    "ucf" where names end in ``_g01_c02``. "prefix" where there are names that end in a number
    behind a separator (``match12_clip3``, ``match12-3``, ``match12 (3)``), recordings with several
    clips exist, and most classes have several recordings: ``walk_001 ... walk_100`` of a class is
    a mere enumeration, hence "none". Clips of other names are recordings of their own.

    Args:
        paths: of video files or frame folders, as in a list.
        classes: of the clips; None: their folders.
    """
    if classes is None:
        classes = [_folder(path.replace("\\", "/")) for path in paths]
    for rule, split in _SPLITTERS.items():
        fitting = [(p, c) for p, c in zip(paths, classes, strict=True) if split(_stem(p))]
        enough = _MOSTLY * len(paths) if rule == "ucf" else 1  # "prefix" finds its names, too
        if len(fitting) >= enough and _is_telling(fitting, rule, len(set(classes))):
            return rule
    return "none"


def rule_to_compare(paths: Sequence[str], classes: Sequence[Hashable]) -> str:
    """Return the rule by which splits are compared: "ucf" or "prefix".

    As ``detect_rule``, but ``_g01_c02`` says what it means in any name, however few there are.
    """
    rule = detect_rule(paths, classes)
    return "ucf" if rule == "none" else rule


def recording_of(path: str, *, rule: str) -> str:
    """Return the name of the recording that a clip was cut from.

    Clips are of one recording if and only if the results are equal; a name that does not fit the
    rule is a recording of its own.

    Args:
        path: of a video file or frame folder.
        rule: "ucf", "prefix", "none" (each clip is a recording) or a regular expression with one
            group, the recording. It is searched in the file name without its suffix; if it
            contains "/", in the whole path, written with "/".

    Raises:
        ConfigError: neither a known rule nor a regular expression with one group.
    """
    path = path.replace("\\", "/")
    if rule == "none":
        return path
    if rule not in _SPLITTERS:
        found = check_rule(rule).search(path if "/" in rule else _stem(path))
        return found[1] if found and found[1] is not None else path
    name = _SPLITTERS[rule](_stem(path))
    if name is None:
        return path
    # "001_2" of one class need not be the recording of another's "001_3"; "match12_2" is.
    return name if re.search(r"[^\W\d_]", name) else f"{_folder(path)}/{name}"


def check_rule(rule: str) -> re.Pattern[str]:
    """Return the compiled regular expression of a rule that is none of ``RULES``.

    Raises:
        ConfigError: not a regular expression, or not one with one group.
    """
    try:
        pattern = re.compile(rule)
    except re.error as err:
        raise ConfigError(
            f"group {rule!r} is no regular expression ({err}); "
            f"allowed: {', '.join(RULES)} or a regular expression such as '^(match[0-9]+)_'"
        ) from err
    if pattern.groups != 1:
        raise ConfigError(
            f"group {rule!r} has {pattern.groups} groups in parentheses; it needs one, the name "
            f"of the recording, such as '^(match[0-9]+)_' (or a rule: {', '.join(RULES)})"
        )
    return pattern


def _is_telling(fitting: Sequence[tuple[str, Hashable]], rule: str, num_classes: int) -> bool:
    """Whether the recordings are more than one per class and less than one per clip."""
    clips: Counter[str] = Counter()
    per_class = defaultdict(set)
    for path, name in fitting:
        recording = recording_of(path, rule=rule)
        clips[recording] += 1
        per_class[name].add(recording)
    several = sum(len(recordings) > 1 for recordings in per_class.values())
    return max(clips.values(), default=0) > 1 and 2 * several > num_classes


def _stem(path: str) -> str:
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix}".lower() in VIDEO_SUFFIXES else name


def _folder(path: str) -> str:
    return path.rstrip("/").rpartition("/")[0]


def _ucf(stem: str) -> str | None:
    found = _UCF.fullmatch(stem)
    return found[1] if found else None


def _prefix(stem: str) -> str | None:
    found = _SECONDS.fullmatch(stem) or _NUMBERED.fullmatch(stem)
    return found[1] if found else None


_SPLITTERS: dict[str, Callable[[str], str | None]] = {"ucf": _ucf, "prefix": _prefix}
