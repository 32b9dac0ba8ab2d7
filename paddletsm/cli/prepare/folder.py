# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``prepare folder``: lists from an own folder of clips, split for training and validation."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from pathlib import Path

from paddletsm.cli.common import EXIT_OK
from paddletsm.prepare.folder import (
    FEW_CLIPS,
    ClassFolder,
    Division,
    divide,
    scan_folder,
    write_lists,
)
from paddletsm.utils.text import listing, plural

SUMMARY = "lists from your own folder with a sub-folder per class"

_CONFIG = "configs/tsm_clips.yaml"
_OUT = "data/clips"  # as in the configuration
_RULES = {
    "ucf": "a name ends in _gNN_cNN, gNN is the recording",
    "prefix": "a name is that of the recording and the number of the clip",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "path", metavar="PATH", help="folder with one sub-folder per class: videos or frame folders"
    )
    parser.add_argument(
        "--list",
        metavar="FILE",
        help="take only the clips of this list, which check_data.py PATH --fix FILE has written",
    )
    parser.add_argument("--out", default=_OUT, metavar="DIR", help="folder of the lists")
    parser.add_argument("--val", type=float, default=0.1, help="share of the clips that validate")
    parser.add_argument("--test", type=float, default=0.0, help="share of the clips that test")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument(
        "--group",
        default="",
        metavar="REGEX|ucf|prefix|none",
        help="what tells the clips of one recording, which stay together: a regular expression "
        "with one group, UCF's _gNN_, the name before the last number, or nothing; default: "
        "chosen from the names",
    )


def run(args: argparse.Namespace) -> int:
    """Split, write the lists, show the counts, and say what to type next."""
    folder = scan_folder(args.path, args.list)
    division = divide(folder, val=args.val, test=args.test, seed=args.seed, group=args.group)
    files = write_lists(folder, division, args.out)
    print(_recordings(folder, division))
    print()
    print(_table(folder, division))
    print()
    _warn(folder, division)
    if folder.unlisted:
        count = plural(len(folder.unlisted), "clip")
        verb = "is" if len(folder.unlisted) == 1 else "are"
        names = listing(folder.unlisted, 3)
        _say(f"{count} of the folder {verb} not in {args.list}, and left out: {names}")
    _warn_of_shares(division, {"val": args.val, "test": args.test})
    for path in files:
        print(path)
    print("\nnext:")
    for command in _commands(folder, division, Path(args.out)):
        print(f"  {command}")
    return EXIT_OK


def _recordings(folder: ClassFolder, division: Division) -> str:
    """Which rule, chosen by whom, with an example."""
    by = "chosen from the names" if division.is_automatic else "as you said"
    if division.rule == "none":
        hint = "; clips of one recording belong together: --group" if division.is_automatic else ""
        text = f"each clip is taken for a recording of its own, {by} ({folder.clips[0]}){hint}"
        return f"recordings: {text}"
    counts = Counter(division.recordings)
    largest = max(counts, key=lambda name: (counts[name], name))
    clips = [c for c, r in zip(folder.clips, division.recordings, strict=True) if r == largest]
    rule = _RULES.get(division.rule, "the group of the regular expression")
    return (
        f"recordings: {len(counts)}, by --group {shlex.quote(division.rule)}, {by}: {rule}; "
        f"{listing(clips, 2)} are of {largest!r}"
    )


def _table(folder: ClassFolder, division: Division) -> str:
    parts = [part for part in ("train", "val", "test") if part in division.parts]
    titles = ["class", "clips", "recordings", *parts]
    counts = Counter(zip(division.parts, folder.labels, strict=True))
    of_class = Counter(label for label, _ in _recordings_of(folder, division))
    rows = [
        (name, sum(per_part), of_class[label], *per_part)
        for label, name in enumerate(folder.class_names)
        for per_part in [[counts[part, label] for part in parts]]
    ]
    sums = [sum(column) for column in list(zip(*rows, strict=True))[1:]]
    sums[1] = len(set(division.recordings))  # one recording may hold several classes
    texts = [titles, *([str(cell) for cell in row] for row in [*rows, ("all", *sums)])]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in texts
    )


def _recordings_of(folder: ClassFolder, division: Division) -> set[tuple[int, str]]:
    return set(zip(folder.labels, division.recordings, strict=True))


def _warn(folder: ClassFolder, division: Division) -> None:
    """Things that are allowed and yet often a mistake, to stderr."""
    totals = Counter(folder.labels)
    few = [f"{folder.class_names[k]} ({n})" for k, n in sorted(totals.items()) if n < FEW_CLIPS]
    if few:
        _say(f"fewer than {FEW_CLIPS} clips: {listing(few, 8)}; accuracy of so few says little")
    if max(totals.values()) >= 10 * min(totals.values()):
        most, least = max(totals, key=totals.get), min(totals, key=totals.get)
        names = folder.class_names
        _say(
            f"unbalanced: {names[most]} has {totals[most]} clips, "
            f"{names[least]} has {totals[least]}"
        )
    if division.unmatched:
        count = plural(len(division.unmatched), "clip")
        _say(
            f"the rule says nothing of {count} ({listing(division.unmatched, 2)}): each is taken "
            "for a recording of its own"
        )
    if folder.ignored:
        _say(f"no clips, left out: {listing(folder.ignored, 5)}")


def _warn_of_shares(division: Division, asked: dict[str, float]) -> None:
    """Few large recordings cannot make a small part."""
    for part, share in asked.items():
        real = division.parts.count(part) / len(division.parts)
        if share and abs(real - share) > 0.05 + share / 2:
            _say(
                f"{part} holds {100 * real:.0f} % of the clips, not {100 * share:g} %: every class "
                "needs a clip in it, and recordings are kept whole"
            )


def _say(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _commands(folder: ClassFolder, division: Division, out: Path) -> list[str]:
    """What to type next, as it can be typed in the folder of the repository."""
    overrides = []
    has_test = "test" in division.parts
    if out != Path(_OUT):
        overrides += [
            f"DATASET.train.file_path={out / 'train.txt'}",
            f"DATASET.valid.file_path={out / 'val.txt'}",
            f"DATASET.class_names={out / 'classes.txt'}",
        ]
    if has_test:
        overrides.append(f"DATASET.test.file_path={out / 'test.txt'}")
    if folder.pattern:
        for mode in ("train", "valid", "test") if has_test else ("train", "valid"):
            overrides.append(f"DATASET.{mode}.format=FrameDataset")
            overrides.append(f'DATASET.{mode}.suffix="{folder.pattern}"')
    options = "".join(f" -o {shlex.quote(text)}" for text in overrides)
    export = "".join(f" --override {shlex.quote(text)}" for text in overrides)
    last = max(i for i, part in enumerate(division.parts) if part != "train")
    clip = shlex.quote(str(folder.root / folder.clips[last]))
    return [
        f"python main.py -c {_CONFIG}{options}",
        f"python main.py --test -c {_CONFIG}{options}",
        f"python tools/export_model.py -c {_CONFIG}{export}",
        f"python tools/predict.py --input_file {clip}",
    ]
