# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Mixup and cutmix: shares of pixels and labels, the same box in every frame, draws that repeat."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddletsm.builders import build_dataset, build_model, load_config
from paddletsm.config import Config
from paddletsm.data import Batch, ClipLoader
from paddletsm.engine.distributed import World
from paddletsm.engine.evaluate import score_dataset
from paddletsm.engine.mixing import Blend, draw_blend, draw_box
from paddletsm.engine.optim import build_optimizer
from paddletsm.engine.setup import TrainOptions
from paddletsm.engine.step import train_step
from paddletsm.errors import ConfigError
from paddletsm.models import Recognizer2D, ResNetTSM, TSMHead
from tests.conftest import random_frames, write_video

CONFIG = Path(__file__).resolve().parents[3] / "configs/tsm_motion.yaml"


def config_of(name: str | None = "Cutmix", *overrides: str) -> Config:
    mix = [f"MIX={{name: {name}}}"] if name else []
    return load_config(CONFIG, [*mix, *overrides])


def batch_of(count: int, height: int = 12, width: int = 17) -> Batch:
    """Clips whose pixels all are their own number + 1."""
    clips = np.empty((count, 1, 3, 3, height, width), np.float32)
    clips[...] = np.arange(1, count + 1).reshape(-1, 1, 1, 1, 1, 1)
    labels = np.arange(count) * 10
    return Batch(clips if count else None, labels, np.arange(count), (), 0.0)


class Floats:
    """Stands for a network that gets float clips."""

    def normalized(self, clips: paddle.Tensor) -> paddle.Tensor:
        return clips


def mixed(blend: Blend, batch: Batch, rows: slice = slice(None)) -> tuple[np.ndarray, object]:
    clips, labels = blend.apply(Floats(), batch, rows)
    return clips.numpy(), labels


@pytest.mark.parametrize("step", range(40))
def test_cutmix_mixes_the_stated_share_to_the_pixel(step: int) -> None:
    batch = batch_of(6)
    blend = draw_blend(config_of(), batch, step=step, rank=0)
    clips, labels = mixed(blend, batch)
    pixels = clips.shape[-2] * clips.shape[-1]
    for row, clip in enumerate(clips):
        own, other = row + 1, blend.partners[row] + 1
        assert set(np.unique(clip)) <= {own, other}
        # Every frame and channel has the same box.
        assert (clip == clip[:1, :1]).all()
        from_partner = int((clip[0, 0] == other).sum()) if other != own else blend_area(blend)
        assert blend.share == 1.0 - from_partner / pixels
    assert labels.own.numpy().tolist() == batch.labels.tolist()
    assert labels.others.numpy().tolist() == batch.labels[blend.partners].tolist()
    assert labels.share == blend.share


def blend_area(blend: Blend) -> int:
    return blend.box[2] * blend.box[3]


@pytest.mark.parametrize("step", range(10))
def test_mixup_is_the_mean_in_the_stated_share(step: int) -> None:
    batch = batch_of(6)
    blend = draw_blend(config_of("Mixup"), batch, step=step, rank=0)
    clips, labels = mixed(blend, batch)
    expected = blend.share * np.arange(1, 7) + (1 - blend.share) * (blend.partners + 1)
    for clip, value in zip(clips, expected, strict=True):
        np.testing.assert_allclose(clip, value, rtol=1e-6)
    assert labels.share == blend.share


def test_shares_are_those_of_the_beta_distribution() -> None:
    batch, config = batch_of(2), config_of("Mixup")
    shares = np.array([draw_blend(config, batch, step=s, rank=0).share for s in range(4000)])
    alpha = 0.2
    deviation = np.sqrt(1 / (4 * (2 * alpha + 1)))
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.std() == pytest.approx(deviation, abs=0.01)
    even = config_of("Mixup", "MIX.alpha=50")
    assert abs(draw_blend(even, batch, step=0, rank=0).share - 0.5) < 0.2


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32))
def test_boxes_lie_inside(height: int, width: int, area: float, seed: int) -> None:
    left, top, w, h = draw_box(height, width, area, np.random.default_rng(seed))
    assert 0 <= left <= left + w <= width
    assert 0 <= top <= top + h <= height
    assert w * h <= area * height * width + 1e-6


def test_draws_depend_on_seed_step_and_process_alone() -> None:
    batch = batch_of(16)

    def draw(config: Config, step: int, rank: int) -> tuple:
        blend = draw_blend(config, batch, step=step, rank=rank)
        return blend.share, blend.box, tuple(blend.partners)

    config = config_of()
    same = draw(config, 3, 1)
    assert draw(config, 3, 1) == same
    others = {
        draw(config, 4, 1),
        draw(config, 3, 0),
        draw(config_of("Cutmix", "seed=1"), 3, 1),
    }
    assert len(others) == 3
    assert same not in others
    assert sorted(same[2]) == list(range(16))


@pytest.mark.parametrize("name", ["Mixup", "Cutmix"])
def test_parts_of_a_batch_are_those_of_the_whole(name: str) -> None:
    batch = batch_of(7)
    blend = draw_blend(config_of(name), batch, step=5, rank=0)
    whole, _ = mixed(blend, batch)
    parts = [mixed(blend, batch, rows)[0] for rows in (slice(0, 2), slice(2, 7))]
    assert np.array_equal(np.concatenate(parts), whole)


def test_nothing_to_mix() -> None:
    assert draw_blend(config_of(None), batch_of(4), step=0, rank=0) is None
    assert draw_blend(config_of(), batch_of(1), step=0, rank=0) is None
    assert draw_blend(config_of(), batch_of(0), step=0, rank=0) is None


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ("MIX={name: CutMix}", "did you mean 'Cutmix'"),
        ("MIX={name: VideoMix}", "Mixup, Cutmix"),
        ("MIX={alpha: 0.2}", "'name' is missing"),
        ("MIX={name: Mixup, alpha: 0}", "above 0"),
        ("MIX={name: Mixup, p: 1}", "unknown key"),
    ],
)
def test_wrong_settings(override: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        load_config(CONFIG, [override])


def test_paddlevideos_section_is_read() -> None:
    assert config_of("Mixup", "MIX.alpha=0.4").MIX.alpha == 0.4
    assert config_of("Cutmix").MIX.alpha == 0.2
    assert config_of(None).MIX is None


# --- uint8 clips --------------------------------------------------------------------------------


@pytest.fixture
def pixels_config(tmp_path: Path) -> Config:
    """Four little videos of two classes; normalised on the device."""
    for index in range(4):
        path = tmp_path / "data" / ("left" if index % 2 else "right") / f"{index}.avi"
        write_video(path, random_frames(10, seed=index))
    on_device = "[{CenterCrop: {target_size: 32}}, {Normalization: {on_device: true}}]"
    return load_config(
        CONFIG,
        [
            *(f"DATASET.{mode}.file_path={tmp_path / 'data'}" for mode in ("train", "valid")),
            "DATASET.test=null",
            f"PIPELINE.train.transform={on_device}",
            f"PIPELINE.valid.transform={on_device}",
            "MODEL.backbone.width=0.125",
            "MODEL.head.num_classes=2",
        ],
    )


def test_scores_are_those_of_plain_normalisation(pixels_config: Config) -> None:
    paddle.seed(0)
    model = build_model(pixels_config)
    scored = []
    for on_device in (False, True):
        dataset = build_dataset(pixels_config, "valid", on_device=on_device)
        with ClipLoader(dataset) as loader:
            (first,) = loader.iterate([[0, 1, 2, 3]])
            assert first.clips.dtype == (np.uint8 if on_device else np.float32)
            scored.append(score_dataset(model, loader, batch_size=2))
    plain, raw = scored
    assert np.array_equal(plain.ids, raw.ids)
    np.testing.assert_allclose(raw.scores, plain.scores, atol=1e-5)
    assert np.ptp(plain.scores[:, 0]) > 1e-4, "the clips must differ"


@pytest.mark.parametrize("name", ["Mixup", "Cutmix"])
def test_uint8_clips_are_mixed_like_normalised_ones(pixels_config: Config, name: str) -> None:
    model = build_model(pixels_config)
    config, found = config_of(name), []
    for on_device in (False, True):
        dataset = build_dataset(pixels_config, "train", on_device=on_device)
        clips = np.stack([dataset.load(i).frames for i in range(4)])
        batch = Batch(clips, np.array([0, 1, 0, 1]), np.arange(4), (), 0.0)
        blend = draw_blend(config, batch, step=1, rank=0)
        found.append(blend.apply(model, batch, slice(0, 4))[0].numpy())
    assert found[1].dtype == np.float32
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)


def test_a_network_without_mean_refuses_pixels() -> None:
    net = ResNetTSM(depth=18, width=0.125, num_seg=8)
    model = Recognizer2D(net, TSMHead(3, net.out_channels))
    with pytest.raises(ValueError, match="uint8"):
        model(paddle.zeros([1, 8, 3, 32, 32], "uint8"))


def test_pixels_leave_no_trace_in_the_weights(pixels_config: Config) -> None:
    names = set(build_model(pixels_config).state_dict())
    net = ResNetTSM(depth=18, width=0.125, num_seg=8)
    assert names == set(Recognizer2D(net, TSMHead(2, net.out_channels)).state_dict())


@pytest.mark.parametrize("name", ["Mixup", "Cutmix"])
def test_one_mixed_step_trains(pixels_config: Config, name: str) -> None:
    """The loss is that of the soft label, top-1 counts the class with the larger share."""
    config = config_of(name, "MODEL.head.num_classes=2", "MODEL.label_smoothing=0.1")
    model, logits = build_model(pixels_config), []
    model.register_forward_post_hook(lambda layer, given, out: logits.append(out.numpy()))
    dataset = build_dataset(pixels_config, "train", on_device=True)
    clips = np.stack([dataset.load(i).frames for i in range(4)])
    batch = Batch(clips, np.array([0, 1, 0, 1]), np.arange(4), (), 0.0)
    setup = SimpleNamespace(
        **{"config": config, "world": World(), "model": model, "network": model, "notes": []},
        **{"options": TrainOptions(), "scaler": None, "class_weights": None, "ema": None},
        **{"optimizer": build_optimizer(model, config), "device": "cpu"},
    )
    setup.optimizer.set_lr(0.1)
    before = model.head.fc.weight.numpy().copy()
    step = next(s for s in range(99) if 0.1 < share_of(config, batch, s) < 0.4)
    loss, top1, _, count, _ = train_step(setup, batch, step).numpy()
    blend = draw_blend(config, batch, step=step, rank=0)
    eye = 0.9 * np.eye(2) + 0.05
    others = batch.labels[blend.partners]
    target = blend.share * eye[batch.labels] + (1 - blend.share) * eye[others]
    (values,) = logits
    log_scores = values - np.log(np.exp(values).sum(1, keepdims=True))
    assert (count, loss / 4) == (4, pytest.approx(-(target * log_scores).sum(1).mean(), abs=1e-5))
    assert top1 == (values.argmax(1) == others).sum()
    assert np.abs(model.head.fc.weight.numpy() - before).max() > 0


def share_of(config: Config, batch: Batch, step: int) -> float:
    """The share of a step, 1 where the partners have the same labels."""
    blend = draw_blend(config, batch, step=step, rank=0)
    is_mixed = (batch.labels[blend.partners] != batch.labels).any()
    return blend.share if is_mixed else 1.0
