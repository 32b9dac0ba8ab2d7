# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Accumulation, EMA, precise BN, class weights, balanced sampling, SyncBN."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from paddletsm.data import BalancedSampling, Sample
from paddletsm.engine.ema import Ema
from paddletsm.engine.narrate import describe
from paddletsm.engine.optim import parameter_multipliers
from paddletsm.engine.published import published_weights
from paddletsm.engine.setup import Setup, TrainOptions, _compiled, class_weights, prepare
from paddletsm.engine.step import split_rows, train_step
from paddletsm.errors import ConfigError
from paddletsm.models import Recognizer2D, ResNetTSM, TSMHead
from paddletsm.models.losses import classification_loss
from tests.unit.engine.conftest import MakeRun, NoiseLoader, noise, noise_batch


def values_of(run: Setup) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in run.model.state_dict().items()}


# -- accumulation --------------------------------------------------------------------------------


@pytest.mark.parametrize("clips", [8, 7, 2])
def test_accumulated_steps_equal_the_whole_batch(make_run: MakeRun, clips: int) -> None:
    results = []
    for overrides in (["OPTIMIZER.accumulate_steps=3"], []):
        run = make_run(*overrides, frozen=True)
        sums = [train_step(run, noise_batch(np.arange(clips)), step).numpy() for step in range(2)]
        results.append((sums, values_of(run)))
    (sums, parts), (whole_sums, whole) = results
    np.testing.assert_allclose(sums, whole_sums, rtol=1e-5)
    for name, array in whole.items():
        # The sums of float32 gradients are taken in another order.
        np.testing.assert_allclose(parts[name], array, rtol=1e-4, atol=2e-6, err_msg=name)


def test_rows_of_the_passes_cover_the_batch(make_run: MakeRun) -> None:
    run = make_run("OPTIMIZER.accumulate_steps=3")
    for count in (1, 2, 3, 8, 12):
        rows = [row for part in split_rows(count, run) for row in range(part.start, part.stop)]
        assert rows == list(range(count))
        sizes = [part.stop - part.start for part in split_rows(count, run)]
        assert len(sizes) == min(3, count)
        assert max(sizes) - min(sizes) <= 1


def test_the_step_and_the_rate_count_all_passes(make_run: MakeRun) -> None:
    run = make_run("OPTIMIZER.accumulate_steps=3")
    assert run.total_batch == 12
    assert [len(batch) for batch in run.batches(0)] == [12]


# -- EMA -----------------------------------------------------------------------------------------


def test_ema_follows_the_formula_and_leaves_training_alone(make_run: MakeRun) -> None:
    run, plain = make_run(), make_run()
    averages = Ema(run.model, 0.5)
    run = make_run(ema=averages, model=run.model, network=run.model, optimizer=run.optimizer)
    expected = {name: array.astype("float64") for name, array in values_of(run).items()}
    for step in range(3):
        batch = noise_batch(np.arange(4))
        train_step(run, batch, step)
        train_step(plain, batch, step)
        decay = min(0.5, (1 + step) / (10 + step))
        now = values_of(run)
        expected = {n: decay * e + (1 - decay) * now[n] for n, e in expected.items()}
    for name, array in values_of(plain).items():
        np.testing.assert_array_equal(values_of(run)[name], array, name)
        np.testing.assert_allclose(averages.tensors[name].numpy(), expected[name], atol=1e-5)
    before = values_of(run)
    with published_weights(run, 0):
        inside = values_of(run)
    for name, array in values_of(run).items():
        np.testing.assert_array_equal(array, before[name])
        np.testing.assert_array_equal(inside[name], averages.tensors[name].numpy())
    assert np.abs(inside["head.fc.weight"] - before["head.fc.weight"]).max() > 0


# -- precise BN ----------------------------------------------------------------------------------


def test_precise_statistics_are_those_of_all_clips(make_run: MakeRun) -> None:
    run = make_run("PRECISE_BN.clips=12")
    before = values_of(run)
    with published_weights(run, 5):
        inside = values_of(run)
    after = values_of(run)
    assert all((after[name] == before[name]).all() for name in before)
    changed = {name for name in before if (inside[name] != before[name]).any()}
    assert changed == {n for n in before if n.endswith(("._mean", "._variance"))}
    # Of the first layer the truth is known: its input does not depend on other statistics.
    ids = np.concatenate(run.batches(5)[:3])
    clips = np.concatenate([noise(int(i), 5) for i in ids]).reshape(-1, 3, 32, 32)
    with paddle.no_grad():
        maps = run.model.backbone.conv1(paddle.to_tensor(clips)).numpy().astype("float64")
    np.testing.assert_allclose(inside["backbone.bn1._mean"], maps.mean((0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(inside["backbone.bn1._variance"], maps.var((0, 2, 3)), rtol=1e-4)


def test_precise_statistics_leave_fixed_layers_alone(make_run: MakeRun) -> None:
    run = make_run("PRECISE_BN.clips=4", frozen=True)
    before = values_of(run)
    with published_weights(run, 0):
        inside = values_of(run)
    assert all((inside[name] == before[name]).all() for name in before)


# -- classes -------------------------------------------------------------------------------------


def test_class_weights_weigh_clips() -> None:
    paddle.seed(0)
    logits = paddle.randn([5, 3])
    labels = paddle.to_tensor([0, 1, 2, 1, 1])
    weights = paddle.to_tensor([2.0, 0.5, 3.0])
    single = F.cross_entropy(logits, labels, reduction="none").numpy().ravel()
    expected = (single * weights.numpy()[labels.numpy()]).mean()
    assert float(classification_loss(logits, labels, 0.0, weights)) == pytest.approx(
        expected, rel=1e-5
    )
    ones = paddle.ones([3])
    assert float(classification_loss(logits, labels, 0.1, ones)) == pytest.approx(
        float(classification_loss(logits, labels, 0.1)), rel=1e-5
    )


def test_balanced_class_weights(make_run: MakeRun) -> None:
    labels = [0] * 6 + [1] * 2
    weights = class_weights(
        make_run("MODEL.class_weights=balanced", "MODEL.head.num_classes=3").config, labels
    ).numpy()
    np.testing.assert_allclose(weights, [8 / 12, 2.0, 0.0])
    assert weights[labels].mean() == pytest.approx(1.0)
    for stated in ("[1, 2]", "[1, -1, 1]", "[0, 0, 0]"):
        config = make_run(f"MODEL.class_weights={stated}", "MODEL.head.num_classes=3").config
        with pytest.raises(ConfigError, match=r"class_weights.*3 weights"):
            class_weights(config, labels)


def test_the_log_names_the_smallest_and_largest_weight(
    make_run: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    labels = [0] * 6 + [1] * 2 + [3] * 4
    samples = [Sample(f"{i}.avi", label, i) for i, label in enumerate(labels)]
    overrides = ("MODEL.head.num_classes=4", "DATASET.class_names=[walk, jump, sit, wave]")
    balanced, loader = BalancedSampling(samples), NoiseLoader()
    loader.dataset.samples = balanced.samples
    run = make_run(*overrides, train_loader=loader, balanced=balanced)
    caplog.set_level("INFO", "paddletsm")
    describe(run)
    assert "a clip comes 0.667 (walk, 6 clips) to 2 (jump, 2 clips) times" in caplog.text
    assert "class_weights" not in caplog.text

    loader.dataset.samples = tuple(samples)
    weights = class_weights(make_run(*overrides, "MODEL.class_weights=balanced").config, labels)
    caplog.clear()
    describe(make_run(*overrides, train_loader=loader, class_weights=weights))
    assert "counts 0.667 (walk, 6 clips) to 2 (jump, 2 clips) times" in caplog.text
    assert "sampling" not in caplog.text

    caplog.clear()
    describe(make_run(*overrides, train_loader=loader, class_weights=paddle.ones([4])))
    assert "counts 1 (every class) times" in caplog.text


def test_balanced_sampling_draws_classes_alike_and_copies_by_new_ids() -> None:
    labels = [0] * 20 + [1] * 3 + [4] * 7
    samples = [Sample(f"{i}.avi", label, i) for i, label in enumerate(labels)]
    sampling = BalancedSampling(samples)
    assert len(sampling.samples) <= 2 * len(samples) + 3
    assert len({sample.id for sample in sampling.samples}) == len(sampling.samples)
    seen: Counter[str] = Counter()
    for epoch in range(20):
        order = sampling.order(epoch=epoch, seed=1)
        assert len(order) == len(samples)
        assert len(set(order.tolist())) == len(order)
        drawn = [sampling.samples[i] for i in order]
        counts = Counter(sample.label for sample in drawn)
        assert sorted(counts) == [0, 1, 4]
        assert set(counts.values()) == {10}
        times = Counter(sample.path for sample in drawn if sample.label == 1)
        assert set(times.values()) <= {3, 4}
        seen.update(sample.path for sample in drawn)
        assert order.tolist() == sampling.order(epoch=epoch, seed=1).tolist()
    assert len(seen) == len(samples)
    assert sampling.order(epoch=0, seed=1).tolist() != sampling.order(epoch=1, seed=1).tolist()


def test_balanced_sampling_of_a_huge_imbalance_stays_small() -> None:
    samples = [Sample("a", 0, i) for i in range(2000)] + [Sample("b", 1, 2000)]
    sampling = BalancedSampling(samples)
    assert len(sampling.samples) <= 2 * len(samples)
    labels = [sampling.samples[i].label for i in sampling.order(epoch=0, seed=0)]
    assert abs(sum(labels) - 1000) <= 1


# -- switches ------------------------------------------------------------------------------------


def test_linear_scaling_can_be_switched_off(make_run: MakeRun) -> None:
    off = "OPTIMIZER.learning_rate.linear_scaling=false"
    assert make_run().schedule.scale == 4 / 16
    assert make_run(off).schedule.scale == 1.0


def test_sync_bn_obeys_the_policy_and_keeps_names() -> None:
    for policy, trained in (({"partial_bn": True}, 1), ({"norm_eval": True}, 0), ({}, 20)):
        net = ResNetTSM(depth=18, width=0.125, num_seg=2, **policy)
        model = Recognizer2D(net, TSMHead(3, net.out_channels))
        names, factors = sorted(model.state_dict()), parameter_multipliers(model)
        converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        converted.train()
        norms = [m for m in converted.sublayers() if isinstance(m, nn.SyncBatchNorm)]
        assert len(norms) == 20
        assert sum(norm.training for norm in norms) == trained
        assert sorted(converted.state_dict()) == names
        assert parameter_multipliers(converted) == factors


@pytest.mark.parametrize(
    ("override", "options", "message"),
    [
        ("sync_bn=true", {}, r"sync_bn.*GPUs only"),
        ("seed=1", {"amp": True}, r"--amp.*float32 on a CPU"),
        ("cudnn_benchmark=true", {"deterministic": True}, r"cudnn_benchmark.*--deterministic"),
    ],
)
def test_what_cannot_work_is_refused(
    make_run: MakeRun, override: str, options: dict[str, bool], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(make_run(override).config, TrainOptions(device="cpu", **options))


@pytest.mark.slow
def test_a_static_graph_trains_as_the_network_does(make_run: MakeRun) -> None:
    results = []
    for is_static in (False, True):
        run = make_run(frozen=True)
        if is_static:
            run = dataclasses.replace(run, network=_compiled(run.model))
        run.network.train()
        run.model.train()
        for step in range(2):
            train_step(run, noise_batch(np.arange(4)), step)
        results.append(values_of(run))
    for name, array in results[0].items():
        np.testing.assert_allclose(results[1][name], array, rtol=1e-3, atol=1e-5, err_msg=name)
