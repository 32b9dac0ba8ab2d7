# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips as the network gets them, with their labels: a sheet of pictures, or a video."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddletsm.data import ClipDataset
from paddletsm.data.backends import opencv
from paddletsm.errors import DataError
from paddletsm.utils.io import atomic_path
from paddletsm.utils.plots import FONTS, quiet_fonts
from paddletsm.utils.text import listing

logger = logging.getLogger(__name__)

_HEIGHT = 128  # pixels of a frame
_CAPTION = 22  # pixels of a line of text
_GAP = 6
_BACKGROUND = 255
_FONT_PIXELS = 12
_FPS = 4.0
_LOOPS = 4  # a clip of 8 frames is over too soon


@dataclass(frozen=True)
class SeenClip:
    """A clip after all random draws.

    Attributes:
        frames: uint8 [T,H,W,3] RGB, normalisation undone; the first view.
        title: label and class name.
        file: its name.
        numbers: of the T frames, from 0.
        view: ", view 1 of 3" where there are several.
    """

    frames: np.ndarray
    title: str
    file: str
    numbers: tuple[int, ...]
    view: str = ""

    @property
    def detail(self) -> str:
        """File and frames in one line."""
        return f"{self.file}, frames {listing(self.numbers, 16)}{self.view}"


def read_clips(
    dataset: ClipDataset, names: Sequence[str], *, count: int, seed: int = 0, epoch: int = 0
) -> list[SeenClip]:
    """Draw samples and read them as an epoch of training does.

    Args:
        dataset: of a split.
        names: of the classes, by label.
        count: number of clips; all, in their order, where there are no more.
        seed: of the choice of samples.
        epoch: of the augmentation's draws.

    Raises:
        DataError: the data set is empty, or no chosen sample can be read.
    """
    if not len(dataset):
        raise DataError("the data set is empty")
    chosen = np.arange(len(dataset))
    if count < len(dataset):
        chosen = np.random.default_rng(seed).permutation(chosen)[:count]
    clips, errors = [], []
    for number in chosen.tolist():
        try:
            clip = dataset.load(number, epoch)
        except DataError as err:
            errors.append(err)
            logger.warning("%s", err)
            continue
        frames = undo_normalization(clip.frames[0], dataset)
        name = names[clip.label] if 0 <= clip.label < len(names) else "?"
        where = os.path.basename(os.path.normpath(dataset.samples[number].path))
        views = "" if len(clip.frames) == 1 else f", view 1 of {len(clip.frames)}"
        title, numbers = f"{clip.label}  {name}", tuple(clip.indices[0].tolist())
        clips.append(SeenClip(frames, title, where, numbers, views))
    if not clips:
        raise DataError(f"none of {len(chosen)} samples can be read; the first: {errors[0]}")
    return clips


def undo_normalization(frames: np.ndarray, dataset: ClipDataset) -> np.ndarray:
    """Return uint8 [T,H,W,3] of a view [T,3,H,W] as the pipeline makes it."""
    frames = np.moveaxis(frames, 1, -1)
    if frames.dtype == np.uint8:  # left to the device
        return np.ascontiguousarray(frames)
    normalization = dataset.pipeline.normalization
    pixels = (frames * np.array(normalization.std) + np.array(normalization.mean)) * 255.0
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def write_sheet(clips: Sequence[SeenClip], path: Path) -> None:
    """Write a PNG: one row per clip, its frames side by side under its label."""
    rows = []
    for clip in clips:
        scaled = [_scaled(frame) for frame in clip.frames]
        strip = np.concatenate([_padded(frame, frame.shape[1] + _GAP // 3) for frame in scaled], 1)
        rows += [_caption(f"{clip.title}      {clip.detail}", strip.shape[1]), strip, None]
    width = max(row.shape[1] for row in rows if row is not None)
    gap = np.full((_GAP, width, 3), _BACKGROUND, np.uint8)
    sheet = np.concatenate([gap if row is None else _padded(row, width) for row in rows])
    cv2 = opencv()
    done, code = cv2.imencode(".png", _framed(sheet)[..., ::-1])
    if not done:
        raise DataError(f"{path}: the sheet cannot be written as a PNG")
    with atomic_path(path) as temporary:
        temporary.write_bytes(code.tobytes())


def write_video(clips: Sequence[SeenClip], path: Path) -> None:
    """Write an MP4: all clips at once, in a grid, each below its label, file and frame number.

    Raises:
        DataError: OpenCV cannot write such a video here.
    """
    columns = int(np.ceil(np.sqrt(len(clips))))
    pictures = [_grid(clips, columns, t) for t in range(max(len(c.frames) for c in clips))]
    height, width = pictures[0].shape[:2]
    cv2 = opencv()
    with atomic_path(path) as temporary:
        name = temporary.with_suffix(".mp4")
        writer = cv2.VideoWriter(str(name), cv2.VideoWriter_fourcc(*"mp4v"), _FPS, (width, height))
        if not writer.isOpened():
            raise DataError(f"{path}: OpenCV cannot write MP4 here; write a sheet (.png) instead")
        for picture in pictures * _LOOPS:
            writer.write(np.ascontiguousarray(picture[..., ::-1]))
        writer.release()
        name.replace(temporary)


def _grid(clips: Sequence[SeenClip], columns: int, t: int) -> np.ndarray:
    cells = []
    for clip in clips:
        now = t % len(clip.frames)
        frame = _scaled(clip.frames[now], 2 * _HEIGHT)
        lines = (clip.title, _fitting(clip.file, f", frame {clip.numbers[now]}", frame.shape[1]))
        cells.append(np.concatenate([*(_caption(line, frame.shape[1]) for line in lines), frame]))
    height, width = (max(cell.shape[axis] for cell in cells) for axis in (0, 1))
    cells = [_padded(cell, width + _GAP, height + _GAP) for cell in cells]
    while len(cells) % columns:
        cells.append(np.full_like(cells[0], _BACKGROUND))
    rows = [np.concatenate(cells[i : i + columns], 1) for i in range(0, len(cells), columns)]
    whole = _framed(np.concatenate(rows))
    # Encoders want even sides.
    return _padded(whole, whole.shape[1] + whole.shape[1] % 2, whole.shape[0] + whole.shape[0] % 2)


def _scaled(frame: np.ndarray, height: int = _HEIGHT) -> np.ndarray:
    cv2 = opencv()
    size = (max(1, round(frame.shape[1] * height / frame.shape[0])), height)
    method = cv2.INTER_AREA if frame.shape[0] > height else cv2.INTER_NEAREST
    return cv2.resize(frame, size, interpolation=method)


def _fitting(name: str, rest: str, width: int) -> str:
    """Shorten a file's name in front, so that what follows it can be read: "...00012.avi"."""
    room = int(width / (_FONT_PIXELS * 0.6)) - len(rest)
    if len(name) > room:
        name = f"...{name[3 - room :]}" if room > 3 else ""
    return (name + rest).removeprefix(", ")


def _caption(text: str, width: int) -> np.ndarray:
    """One line of text, uint8 [22,width,3]; what is too long is cut off."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 100
    figure = Figure(figsize=(width / dpi, _CAPTION / dpi), dpi=dpi)
    canvas = FigureCanvasAgg(figure)
    # A dollar sign is no formula, and a file name may hold any character.
    figure.text(
        4 / width,
        0.25,
        text.replace("$", r"\$"),
        fontsize=_FONT_PIXELS * 72 / dpi,
        family=FONTS,
    )
    with quiet_fonts():
        canvas.draw()
    return _padded(np.asarray(canvas.buffer_rgba())[..., :3], width, _CAPTION)


def _padded(picture: np.ndarray, width: int, height: int | None = None) -> np.ndarray:
    """Fill up on the right and below, or cut."""
    height = picture.shape[0] if height is None else height
    out = np.full((height, width, 3), _BACKGROUND, np.uint8)
    part = picture[:height, :width]
    out[: part.shape[0], : part.shape[1]] = part
    return out


def _framed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=_BACKGROUND)
