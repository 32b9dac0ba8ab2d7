# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which clips were cut from one recording, told by their names.

Clips of one recording look alike: with some in training and some in validation, the accuracy says
little about new recordings.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

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
_MOSTLY = 0.9  # share of the clips whose names must fit for a rule to be chosen


def detect_rule(paths: Sequence[str]) -> str:
    """Return the rule that fits the names of clips: "ucf", "prefix" or "none".

    "ucf" where names end in ``_g01_c02``. "prefix" where they end in a number behind a separator
    (``match12_clip3``, ``match12-3``, ``match12 (3)``), recordings with several clips exist, and
    most classes (folders) have several recordings: ``walk_001 ... walk_100`` in a folder
    ``walk`` is a mere enumeration, hence "none".

    Args:
        paths: of video files or frame folders, as in a list; the last folder is the class.
    """
    if not paths:
        return "none"
    for rule, split in _SPLITTERS.items():
        fits = sum(split(_stem(path)) is not None for path in paths)
        if fits >= _MOSTLY * len(paths) and _is_telling([(p, rule) for p in paths]):
            return rule
    return "none"


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


def _is_telling(named: Sequence[tuple[str, str]]) -> bool:
    """Whether the recordings are more than one per class and less than one per clip."""
    clips = Counter(recording_of(path, rule=rule) for path, rule in named)
    per_class = defaultdict(set)
    for path, rule in named:
        per_class[_folder(path.replace("\\", "/"))].add(recording_of(path, rule=rule))
    several = sum(len(recordings) > 1 for recordings in per_class.values())
    return max(clips.values()) > 1 and 2 * several > len(per_class)


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
