# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The synthetic data set "motion": video files in class folders, the same for the same settings.

``<out>/{train,val,test}/<class>/clip_00001.avi`` and ``<out>/motion.json``, which states the
settings. The files are Motion JPEG of one fixed quality: each frame is coded on its own, so the
coding tells nothing about the order of the frames. What the clips show: ``motion_scene.py``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from paddletsm.data.backends import opencv
from paddletsm.errors import ConfigError, DataError
from paddletsm.prepare.motion_scene import CLASS_NAMES, MIN_SIZE, render_clip
from paddletsm.utils.disk import problem_of
from paddletsm.utils.text import listing

SPLITS = ("train", "val", "test")
FRAMES_PER_SECOND = 16.0
JPEG_QUALITY = 95

_RENDERING = 1  # raised with every change of a pixel, so that older folders are not taken for new
_STATEMENT = "motion.json"


@dataclass(frozen=True)
class MotionSettings:
    """What determines every byte of the data set (with the versions of NumPy and OpenCV).

    Attributes:
        clips: clips of each class for training.
        val_clips: clips of each class for validation.
        test_clips: clips of each class for testing.
        frames: frames of a clip.
        size: side of the square picture in pixels, a multiple of 16 (a block of the coding).
        seed: of all draws.
    """

    clips: int = 200
    val_clips: int = 100
    test_clips: int = 50
    frames: int = 16
    size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        smallest = {"frames": 2, "size": MIN_SIZE, "seed": 0}
        for field in fields(self):
            value, low = getattr(self, field.name), smallest.get(field.name, 1)
            if value < low:
                raise ConfigError(f"--{field.name} {value}: it must be {low} or more")
        if self.size % 16:
            below = self.size // 16 * 16
            raise ConfigError(
                f"--size {self.size}: it must be a multiple of 16, such as {below} or {below + 16}"
            )

    @property
    def per_class(self) -> dict[str, int]:
        """Clips of each class in each split."""
        return dict(zip(SPLITS, (self.clips, self.val_clips, self.test_clips), strict=True))

    @property
    def total(self) -> int:
        """All clips."""
        return sum(self.per_class.values()) * len(CLASS_NAMES)


def prepare_motion(
    out: str | Path,
    settings: MotionSettings,
    *,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Render the data set, unless it is there already.

    The folder appears under its name when it is complete, never in part.

    Args:
        out: folder of the data set.
        settings: see ``MotionSettings``.
        force: render again, also in place of a motion data set of other settings or a damaged one.
        progress: called with (clips done, clips in all).

    Returns:
        Whether anything was rendered; False: it was complete already.

    Raises:
        DataError: ``out`` holds something else, or cannot be written.
    """
    out = Path(out)
    try:
        if not _must_render(out, settings, force):
            return False
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            fresh = Path(scratch) / "new"
            _render_all(fresh, settings, progress)
            if out.exists():
                out.rename(Path(scratch) / "old")
            fresh.rename(out)
    except OSError as err:
        raise DataError(f"{out}: the data set cannot be written: {problem_of(err)}") from err
    return True


def _must_render(out: Path, settings: MotionSettings, force: bool) -> bool:
    """Whether there is something to do; refuses to touch what is not ours."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return True
    statement = out / _STATEMENT
    if not statement.is_file():
        raise DataError(
            f"{out} exists and holds no motion data set (no {_STATEMENT} in it); "
            "choose another folder with --out, or move it away"
        )
    if force:
        return True
    found = _read_statement(statement)
    wanted = _statement(settings)
    if found != wanted:
        different = [
            f"{key} {found.get(key, 'unknown')} instead of {value}"
            for key, value in wanted.items()
            if found.get(key) != value
        ]
        raise DataError(
            f"{out} holds a motion data set of other settings ({listing(different)}); "
            "--force replaces it, --out puts the new one elsewhere"
        )
    missing = [path for path, *_ in _clips(out, settings) if not path.is_file()]
    if missing:
        raise DataError(
            f"{out}: {len(missing)} of {settings.total} clips are missing, the first of them "
            f"{missing[0]}; --force renders the data set again"
        )
    return False


def _read_statement(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # not JSON, not UTF-8: reported as other settings
        content = None
    return content if isinstance(content, dict) else {}


def _statement(settings: MotionSettings) -> dict[str, object]:
    return {"dataset": "motion", "rendering": _RENDERING, **asdict(settings)}


def _clips(
    out: Path, settings: MotionSettings
) -> Iterator[tuple[Path, str, tuple[int, int, int, int]]]:
    """Path, class and seed of every clip. No two clips share a seed."""
    for split, (split_name, count) in enumerate(settings.per_class.items()):
        for label, name in enumerate(CLASS_NAMES):
            for number in range(count):
                path = out / split_name / name / f"clip_{number + 1:05d}.avi"
                yield path, name, (settings.seed, split, label, number)


def _render_all(
    out: Path, settings: MotionSettings, progress: Callable[[int, int], None] | None
) -> None:
    for split in SPLITS:
        for name in CLASS_NAMES:
            (out / split / name).mkdir(parents=True)
    for done, (path, name, seed) in enumerate(_clips(out, settings), 1):
        rng = np.random.default_rng(seed)
        frames = render_clip(name, rng, num_frames=settings.frames, size=settings.size)
        write_mjpg(path, frames, fps=FRAMES_PER_SECOND)
        if progress:
            progress(done, settings.total)
    text = json.dumps(_statement(settings), indent=2) + "\n"
    (out / _STATEMENT).write_text(text, encoding="utf-8")


def write_mjpg(path: Path, frames: np.ndarray, *, fps: float) -> None:
    """Write RGB frames, uint8 [F, H, W, 3], as a Motion JPEG .avi.

    OpenCV's own encoder: every frame alone, with the same quality, no time stamps in the file.
    FFmpeg's would steer the quality by the frames before, which orders them.

    Raises:
        DataError: the file cannot be written.
    """
    cv2 = opencv()
    height, width = frames.shape[1:3]
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, codec, fps, (width, height))
    if not writer.isOpened():
        raise DataError(
            f"{path}: OpenCV cannot write it as Motion JPEG; is the disk full, or is this build of "
            "OpenCV without videoio? (pip install --force-reinstall opencv-python-headless)"
        )
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, JPEG_QUALITY)
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    # The encoder reports no errors; an empty file is what a full disk leaves.
    if not path.is_file() or path.stat().st_size == 0:
        raise DataError(f"{path}: nothing was written; is the disk full?")
