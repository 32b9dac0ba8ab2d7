# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which frames of a video make a clip: pure functions of the number of frames.

The indices are those of MMAction2 (and of mit-han-lab/temporal-shift-module where the two agree),
computed in the same floating-point steps, because rounding decides which frame is taken.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from paddletsm.registry import Registry

SAMPLERS = Registry("sampler")

Mode = Literal["train", "test"]
_MODES = ("train", "test")


def sample_segments(
    num_frames: int,
    num_seg: int,
    mode: Mode = "test",
    twice: bool = False,
    rng: np.random.Generator | None = None,
    keep_tail: bool = False,
) -> np.ndarray:
    """Cut the video into equal segments and take one frame of each.

    Args:
        num_frames: length of the video, 1 or more.
        num_seg: number of segments T.
        mode: "test" takes the middle of each segment; "train" draws one frame per segment.
        twice: test only: a second clip, of the first frame of each segment, follows.
        rng: generator for "train"; None makes a fresh one.
        keep_tail: train only: segments of fractional length, so that the frames behind
            ``T * (num_frames // T)`` are drawn as well.

    Returns: int64 [T], or [2*T] with ``twice``: 0-based frame indices. A video shorter than T
        frames gives repeated frames.

    Raises:
        ValueError: unknown mode, no frames, no segments, or ``twice`` in training.

    Source: Wang et al., Temporal Segment Networks, arXiv:1608.00859, section 3.1; second clip
        and short videos as in MMAction2's SampleFrames.
    """
    _check(num_frames, num_seg, mode)
    if mode == "train":
        if twice:
            raise ValueError("twice=True belongs to testing; training draws one clip")
        return _draw_segments(num_frames, num_seg, keep_tail, rng or np.random.default_rng())
    length = num_frames / float(num_seg)
    starts = np.arange(num_seg) * length
    middles = starts + length / 2.0
    return (np.concatenate([middles, starts]) if twice else middles).astype(np.int64)


def sample_dense(
    num_frames: int,
    num_seg: int,
    num_clips: int = 10,
    sample_range: int = 64,
    mode: Mode = "test",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Take frames at a fixed step from a window of the video.

    Args:
        num_frames: length of the video, 1 or more.
        num_seg: frames per clip T; the step is ``sample_range // T``.
        num_clips: test only: number of windows, spread evenly over the video.
        sample_range: length of the window in frames.
        mode: "test" gives all windows; "train" draws one.
        rng: generator for "train"; None makes a fresh one.

    Returns: int64 [num_clips*T] in test, [T] in training: 0-based frame indices. Windows that
        reach over the end continue at the start.

    Raises:
        ValueError: unknown mode, no frames, no segments, no clips, or a range shorter than T.

    Source: DenseSampleFrames of MMAction2, dense sampling of mit-han-lab/temporal-shift-module.
    """
    _check(num_frames, num_seg, mode)
    if num_clips < 1:
        raise ValueError(f"num_clips must be 1 or more, not {num_clips}")
    if sample_range < num_seg:
        raise ValueError(f"sample_range {sample_range} is shorter than num_seg {num_seg}")
    last = max(0, num_frames - sample_range)
    if mode == "train":
        draw = rng or np.random.default_rng()
        # The reference never draws the last window itself.
        starts = np.array([draw.integers(last) if last > 1 else 0])
    else:
        starts = np.linspace(0, last, num_clips, dtype=np.int64)
    steps = np.arange(num_seg) * (sample_range // num_seg)
    return ((starts[:, None] + steps) % num_frames).reshape(-1).astype(np.int64)


def _draw_segments(
    num_frames: int, num_seg: int, keep_tail: bool, rng: np.random.Generator
) -> np.ndarray:
    if keep_tail:
        width = num_frames / num_seg
        drawn = np.arange(num_seg) * width + rng.uniform(0, width, num_seg)
        return np.minimum(drawn.astype(np.int64), num_frames - 1)
    length = num_frames // num_seg
    if length == 0:  # a short video: the reference draws nothing, and wraps around
        return np.around(np.arange(num_seg) * num_frames / num_seg).astype(np.int64) % num_frames
    return np.arange(num_seg) * length + rng.integers(length, size=num_seg)


def _check(num_frames: int, num_seg: int, mode: str) -> None:
    if mode not in _MODES:
        raise ValueError(f"mode {mode!r} (known: train, test)")
    if num_frames < 1:
        raise ValueError(f"num_frames must be 1 or more, not {num_frames}")
    if num_seg < 1:
        raise ValueError(f"num_seg must be 1 or more, not {num_seg}")


def _check_settings(num_seg: int, seg_len: int, valid_mode: bool) -> None:
    if not isinstance(num_seg, int) or isinstance(num_seg, bool) or num_seg < 1:
        raise ValueError(f"num_seg must be a whole number, 1 or more, not {num_seg!r}")
    if seg_len != 1:
        raise ValueError(f"seg_len must be 1 (one frame per segment), not {seg_len!r}")
    if not isinstance(valid_mode, bool):
        raise ValueError(f"valid_mode must be true or false, not {valid_mode!r}")


@SAMPLERS.register
class Sampler:
    """Segment sampling, see ``sample_segments``.

    Args:
        num_seg: number of segments T.
        seg_len: frames per segment; only 1.
        valid_mode: False draws one frame per segment (training), True takes the middles.
        select_left: of PaddleVideo's files; no effect, the reference's indices are used.
        twice: two clips per video; with ``valid_mode`` only.
        keep_tail: see ``sample_segments``; testing always reaches the end.

    Attributes:
        num_clips: clips per video, 1 or 2.
        has_tail: the frames behind ``num_seg`` equal segments are never drawn.
    """

    def __init__(
        self,
        num_seg: int,
        seg_len: int = 1,
        valid_mode: bool = False,
        select_left: bool = True,
        twice: bool = False,
        keep_tail: bool = False,
    ) -> None:
        _check_settings(num_seg, seg_len, valid_mode)
        if twice and not valid_mode:
            raise ValueError("twice: true needs valid_mode: true; training draws one clip")
        self.num_seg = num_seg
        self.valid_mode = valid_mode
        self.num_clips = 2 if twice else 1
        self._twice = twice
        self._keep_tail = keep_tail
        self.has_tail = not valid_mode and not keep_tail

    def __call__(self, num_frames: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return int64 [num_clips*num_seg] frame indices."""
        if self.valid_mode:
            return sample_segments(num_frames, self.num_seg, "test", self._twice)
        return sample_segments(
            num_frames, self.num_seg, "train", rng=rng, keep_tail=self._keep_tail
        )


@SAMPLERS.register
class DenseSampler:
    """Dense sampling, see ``sample_dense``.

    Args:
        num_seg: frames per clip T.
        num_clips: clips per video when ``valid_mode``; training draws one.
        sample_range: length of a clip's window in frames of the video.
        valid_mode: False draws one window (training).
        seg_len: frames per position; only 1.

    Attributes:
        num_clips: clips per video.
    """

    def __init__(
        self,
        num_seg: int,
        num_clips: int = 10,
        sample_range: int = 64,
        valid_mode: bool = False,
        seg_len: int = 1,
    ) -> None:
        _check_settings(num_seg, seg_len, valid_mode)
        sample_dense(1, num_seg, num_clips, sample_range)  # refuses wrong numbers here, not later
        self.num_seg = num_seg
        self.valid_mode = valid_mode
        self.num_clips = num_clips if valid_mode else 1
        self._sample_range = sample_range

    def __call__(self, num_frames: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return int64 [num_clips*num_seg] frame indices."""
        mode: Mode = "test" if self.valid_mode else "train"
        num_clips = self.num_clips if self.valid_mode else 1
        return sample_dense(num_frames, self.num_seg, num_clips, self._sample_range, mode, rng)
