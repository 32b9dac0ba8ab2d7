# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The frames that the network saw of some clips, with the scores of every frame."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddletsm.builders import build_dataset, build_model, load_config, resolve_classes
from paddletsm.config import Config
from paddletsm.data import Clip, ClipDataset, Sample
from paddletsm.errors import DataError, PaddleTSMError, WeightsError
from paddletsm.report.collect import Guess, Run, TestResult
from paddletsm.utils.io import sha256_of

logger = logging.getLogger(__name__)

_HEIGHT = 112  # pixels of a frame in the strip
_QUALITY = 82  # of the JPEG


@dataclass(frozen=True)
class Strip:
    """A clip as the network saw it.

    Attributes:
        guess: what the test said of it.
        rival: the class that the label is compared with: the prediction, or the runner-up of a
            clip that is classified rightly.
        jpeg: T frames side by side.
        frames: T.
        size: width and height of one frame in ``jpeg``.
        indices: T frame numbers in the video, from 0.
        own: score of the label for every frame (or group of frames), T' numbers in 0..1.
        other: the same of ``rival``.
        views: clips x crops of the protocol; the strip shows the first.
    """

    guess: Guess
    rival: int
    jpeg: bytes
    frames: int
    size: tuple[int, int]
    indices: tuple[int, ...]
    own: tuple[float, ...]
    other: tuple[float, ...]
    views: int


def make_strips(run: Run, *, limit: int = 12) -> tuple[list[Strip], str]:
    """Read the clips that the main test found hardest and run the network over them.

    Args:
        run: with a test; its configuration's paths are read from the working folder, as in the
            test.
        limit: number of clips.

    Returns:
        The strips, and a sentence on what is missing, "" when nothing is.
    """
    test = run.test
    chosen = test.hardest(limit) if test else []
    if test is None or not chosen:
        return [], ""
    try:
        config = resolve_classes(load_config(_config_path(run, test)))
        dataset = build_dataset(config, "test")
        model = _load_model(config, run, test)
    except (PaddleTSMError, OSError) as err:
        return [], f"The frames cannot be shown: {err}"
    samples = {sample.path: sample for sample in dataset.samples}
    strips, missing = [], []
    for guess in chosen:
        try:
            strips.append(_strip(model, dataset, samples[guess.path], guess))
        except KeyError:
            missing.append(f"{guess.path}: is not in the test list any more")
        except (DataError, OSError) as err:
            missing.append(str(err))
    for line in missing:
        logger.warning("report: %s", line)
    if not missing:
        return strips, ""
    return strips, f"{len(missing)} of {len(chosen)} clips cannot be shown; the first: {missing[0]}"


def _config_path(run: Run, test: TestResult) -> Path:
    own = test.folder / "config.yaml"
    return own if own.is_file() else run.folder / "config.yaml"


def _load_model(config: Config, run: Run, test: TestResult) -> object:
    """The network with the weights of the test; others would show scores it did not give."""
    from paddletsm.models.weights import load_weights

    stated = test.metrics.get("weights_sha256")
    places = [Path(str(test.metrics.get("weights", ""))), run.folder / f"{run.name}_best.pdparams"]
    for path in places:
        if path.is_file() and stated in (None, sha256_of(path)):
            model = build_model(config)
            load_weights(model, path)
            model.eval()
            return model
    raise WeightsError(f"the tested weights are no longer in {places[0]}")


def _strip(model: object, dataset: ClipDataset, sample: Sample, guess: Guess) -> Strip:
    clip = dataset.read(sample)
    scores = frame_scores(model, clip.frames[0])
    rival = guess.predicted
    if guess.is_right and scores.shape[1] > 1:
        mean = scores.mean(0)
        mean[guess.label] = -1.0
        rival = int(mean.argmax())
    frames = _pictures(clip, dataset)
    jpeg, size = _side_by_side(frames)
    return Strip(
        guess=guess,
        rival=rival,
        jpeg=jpeg,
        frames=len(frames),
        size=size,
        indices=tuple(int(index) for index in clip.indices[0]),
        own=tuple(float(value) for value in scores[:, guess.label]),
        other=tuple(float(value) for value in scores[:, rival]),
        views=len(clip.frames),
    )


def frame_logits(model: object, frames: np.ndarray) -> np.ndarray:
    """Logits of every frame before their mean: [T, 3, H, W] -> [T', K].

    Their mean is the logits of the clip, for TSM and TSN alike: the classifier is linear.
    """
    import paddle

    with paddle.no_grad():
        features = model.backbone(paddle.to_tensor(np.ascontiguousarray(frames)))
        return model.head.fc(features.mean([2, 3])).numpy()


def frame_scores(model: object, frames: np.ndarray) -> np.ndarray:
    """Softmax of ``frame_logits``, [T', K]."""
    logits = frame_logits(model, frames).astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _pictures(clip: Clip, dataset: ClipDataset) -> np.ndarray:
    """Undo the normalisation of the first view: [T,3,H,W] -> uint8 [T,H,W,3]."""
    normalization = dataset.pipeline.transforms[-1]
    frames = np.moveaxis(clip.frames[0], 1, -1)
    pixels = (frames * np.array(normalization.std) + np.array(normalization.mean)) * 255.0
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _side_by_side(frames: Sequence[np.ndarray]) -> tuple[bytes, tuple[int, int]]:
    import cv2

    height, width = frames[0].shape[:2]
    size = (max(1, round(width * _HEIGHT / height)), _HEIGHT)
    method = cv2.INTER_AREA if height > _HEIGHT else cv2.INTER_CUBIC
    row = np.concatenate([cv2.resize(frame, size, interpolation=method) for frame in frames], 1)
    done, code = cv2.imencode(".jpg", row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise DataError("the frames cannot be written as a JPEG")
    return code.tobytes(), size
