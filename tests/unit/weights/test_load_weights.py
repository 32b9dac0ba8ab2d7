# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Loading is strict, converts every source, and changes nothing unless everything fits."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddletsm.convert.streams import swap_folds
from paddletsm.errors import WeightsError
from paddletsm.models import (
    MobileNetV2,
    MobileNetV2TSM,
    Recognizer2D,
    ResNet,
    ResNetTSM,
    TSMHead,
    TSNHead,
)
from paddletsm.models.weights import load_pretrained_backbone, load_weights, model_info
from tests.unit.weights import names

CLASSES = 5


def build(depth: int = 18, width: float = 0.125, classes: int = CLASSES, **kwargs: object):
    backbone = ResNetTSM(depth, width, num_seg=4, **kwargs)
    return Recognizer2D(backbone, TSMHead(classes, backbone.out_channels))


def build_tsn(depth: int = 18, classes: int = CLASSES) -> Recognizer2D:
    backbone = ResNet(depth, 0.125, num_seg=4)
    return Recognizer2D(backbone, TSNHead(classes, backbone.out_channels))


def build_mobilenet(
    classes: int = CLASSES, width: float = 0.25, network: type = MobileNetV2TSM, **kwargs: object
) -> Recognizer2D:
    backbone = network(width, num_seg=2, **kwargs)
    head = TSMHead if backbone.is_shifted else TSNHead
    return Recognizer2D(backbone, head(classes, backbone.out_channels))


def random_state(model: Recognizer2D) -> dict[str, np.ndarray]:
    """Values for every tensor, none like the initial ones."""
    rng = np.random.default_rng(1)
    state = names.state_of(model)
    return {k: rng.uniform(0.5, 1.5, v.shape).astype(np.float32) for k, v in state.items()}


def write(path: Path, state: dict[str, np.ndarray]) -> Path:
    path.write_bytes(pickle.dumps(state, 4))
    return path


def snapshot(model: Recognizer2D) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in names.state_of(model).items()}


@pytest.fixture(scope="module")
def donor() -> dict[str, np.ndarray]:
    return random_state(build())


def assert_equal(model: Recognizer2D, expected: dict[str, np.ndarray]) -> None:
    for name, value in names.state_of(model).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


class TestSources:
    """Without shift each source gives the same tensors; the swap has its own test."""

    @pytest.mark.parametrize(
        ("source", "rule", "is_torch"),
        [
            ("paddletsm", str, False),
            ("paddlevideo", names.paddlevideo, False),
            ("tsm_reference", names.mit, True),
            ("mmaction2", names.mmaction2, True),
        ],
    )
    @pytest.mark.parametrize("how", ["auto", "named"])
    def test_whole_network(
        self,
        tmp_path: Path,
        donor: dict[str, np.ndarray],
        source: str,
        rule: Callable[[str], str],
        is_torch: bool,
        how: str,
    ) -> None:
        path = write(tmp_path / "w.pdparams", names.renamed(donor, rule, is_torch=is_torch))
        model = build_tsn()
        report = load_weights(model, path, source=source if how == "named" else "auto")
        assert_equal(model, donor)
        assert (report.source, report.loaded, report.total, report.kept) == (source, 102, 102, ())
        assert len(report.left_out) == (20 if is_torch else 0)
        assert f"102 of 102 tensors loaded, source {source}" in str(report)

    @pytest.mark.parametrize("depth", [18, 50, 101])
    def test_paddlevideo_names_of_every_block(self, tmp_path: Path, depth: int) -> None:
        state = names.state_of(build_tsn(depth))
        rule = partial(names.paddlevideo, is_deep=depth > 50)
        model = build_tsn(depth)
        path = write(tmp_path / "w.pdparams", names.renamed(state, rule, is_torch=False))
        assert load_weights(model, path).loaded == len(state)
        assert_equal(model, state)

    def test_paddlevideo_is_not_reordered(
        self, tmp_path: Path, donor: dict[str, np.ndarray]
    ) -> None:
        """Neither its weights nor the features that it computed there."""
        path = write(
            tmp_path / "w.pdparams", names.renamed(donor, names.paddlevideo, is_torch=False)
        )
        model = build()
        load_weights(model, path)
        assert_equal(model, donor)
        model.eval()
        clips = paddle.randn([2, 4, 3, 32, 32])
        features = model.extract_feature(clips)
        per_frame = model.head.fc(features).reshape([2, 4, -1]).mean(1)
        expected = model(clips).numpy()
        np.testing.assert_allclose(per_frame.numpy(), expected, atol=1e-5 * np.abs(expected).max())

    def test_paddlevideo_backbone_only_file(
        self, tmp_path: Path, donor: dict[str, np.ndarray]
    ) -> None:
        state = {
            names.paddlevideo(k).removeprefix("backbone."): v
            for k, v in donor.items()
            if k.startswith("backbone.")
        }
        path = write(tmp_path / "ResNet18_pretrain.pdparams", state)
        model = build()
        head = snapshot(model)["head.fc.weight"]
        with pytest.raises(WeightsError, match=r"without a classifier.*pretrained"):
            load_weights(model, path)
        report = load_pretrained_backbone(model, path)
        assert report.kept == ("head.fc.weight", "head.fc.bias")
        assert "keep their initialisation" in str(report)
        assert_equal(model, {**donor, "head.fc.weight": head, "head.fc.bias": np.zeros(CLASSES)})

    @pytest.mark.parametrize("is_torch", [True, False], ids=["torchvision", "paddle_vision"])
    @pytest.mark.parametrize("load", ["pretrained", "reset_head"])
    def test_imagenet_leaves_only_the_head_over(
        self, tmp_path: Path, donor: dict[str, np.ndarray], is_torch: bool, load: str
    ) -> None:
        imagenet = {**donor, "head.fc.weight": np.ones((64, 1000)), "head.fc.bias": np.ones(1000)}
        if is_torch:
            state = names.renamed(imagenet, names.torchvision, is_torch=True)
        else:
            state = {k.split(".", 1)[1]: v for k, v in imagenet.items()}
        path = write(tmp_path / "resnet.pdparams", state)
        model = build()
        before = snapshot(model)
        with pytest.raises(WeightsError, match="classifier"):
            load_weights(model, path)
        assert_equal(model, before)
        if load == "pretrained":
            report = load_pretrained_backbone(model, path)
        else:
            report = load_weights(model, path, reset_head=True)
        assert report.source == ("torchvision" if is_torch else "paddle_vision")
        assert report.kept == ("head.fc.weight", "head.fc.bias")
        assert {"fc.weight", "fc.bias"} <= set(report.left_out)
        assert report.loaded == 100
        assert_equal(model, {**donor, **{k: v for k, v in before.items() if k.startswith("head.")}})

    def test_paddle_vision_network_computes_the_same(self, tmp_path: Path) -> None:
        theirs = paddle.vision.models.resnet18(num_classes=0)
        theirs.eval()
        paddle.save(theirs.state_dict(), str(tmp_path / "w.pdparams"))
        model = Recognizer2D(ResNet(18), TSNHead(CLASSES, 512))
        load_pretrained_backbone(model, tmp_path / "w.pdparams")
        model.eval()
        frames = paddle.randn([1, 2, 3, 48, 48])
        with paddle.no_grad():
            expected = theirs(frames[0]).flatten(1).mean(0).numpy()
            found = model.extract_feature(frames).numpy()[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_paddle_vision_mobilenet_computes_the_same(self, tmp_path: Path) -> None:
        theirs = paddle.vision.models.MobileNetV2(scale=0.5)
        theirs.eval()
        paddle.save(theirs.state_dict(), str(tmp_path / "w.pdparams"))
        model = build_mobilenet(width=0.5, network=MobileNetV2)
        report = load_pretrained_backbone(model, tmp_path / "w.pdparams")
        assert (report.source, report.loaded) == ("paddle_vision", 260)
        assert report.left_out == ("classifier.1.weight", "classifier.1.bias")
        model.eval()
        frames = paddle.randn([1, 2, 3, 64, 64])
        with paddle.no_grad():
            expected = theirs.features(frames[0]).mean([0, 2, 3]).numpy()
            found = model.extract_feature(frames).numpy()[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)

    @pytest.mark.parametrize("network", [MobileNetV2, MobileNetV2TSM])
    def test_torchvision_mobilenet_fills_the_backbone_unswapped(
        self, tmp_path: Path, network: type
    ) -> None:
        state = random_state(build_mobilenet(classes=1000))
        names_of = names.renamed(state, names.features, is_torch=True)
        assert "features.17.conv.3.running_mean" in names_of
        assert names_of["classifier.1.weight"].shape == (1000, 1280)
        model = build_mobilenet(network=network)
        head = {k: v for k, v in snapshot(model).items() if k.startswith("head.")}
        report = load_pretrained_backbone(model, write(tmp_path / "w.pdparams", names_of))
        assert (report.source, report.loaded) == ("torchvision", 260)
        assert_equal(model, {**state, **head})

    @pytest.mark.parametrize(
        ("source", "rule"),
        [("tsm_reference", names.mit_features), ("mmaction2", names.mmaction2_mobilenet)],
    )
    def test_mobilenet_of_both_references(
        self, tmp_path: Path, source: str, rule: Callable[..., str]
    ) -> None:
        model = build_mobilenet()
        state = random_state(model)
        rule = partial(rule, shifted=model_info(model).shifted)
        path = write(tmp_path / "w.pdparams", names.renamed(state, rule, is_torch=True))
        report = load_weights(model, path)
        assert (report.source, report.loaded, report.total) == (source, 262, 262)
        assert_equal(model, swap_folds(state, 8))
        with pytest.raises(WeightsError, match=r"the model has none.*MobileNetV2TSM"):
            load_weights(build_mobilenet(network=MobileNetV2), path)

    def test_mobilenet_of_the_online_demo(self, tmp_path: Path) -> None:
        """Its first fold comes from the past already."""
        model = build_mobilenet(shift_mode="online")
        state = random_state(model)
        rule = partial(names.features, is_nested=False)
        path = write(tmp_path / "w.pdparams", names.renamed(state, rule, is_torch=True))
        report = load_weights(model, path)
        assert (report.source, report.loaded, report.notes) == ("tsm_online", 262, ())
        assert_equal(model, state)
        offline = build_mobilenet()
        with pytest.raises(WeightsError, match=r"past only.*shift_mode: online"):
            load_weights(offline, path)
        assert "past only" in load_pretrained_backbone(offline, path).notes[0]

    def test_offline_weights_in_an_online_network_are_noted(self, tmp_path: Path) -> None:
        model = build(shift_mode="online")
        rule = partial(names.mit, shifted=model_info(model).shifted)
        state = names.renamed(names.state_of(model), rule, is_torch=True)
        report = load_weights(model, write(tmp_path / "w.pdparams", state))
        assert "its network shifts both ways, the model from the past only" in report.notes

    @pytest.mark.parametrize("is_mit", [True, False])
    @pytest.mark.parametrize("mode", ["embedded_gaussian", "gaussian"])
    def test_non_local_blocks(self, tmp_path: Path, is_mit: bool, mode: str) -> None:
        """Kernels over clips become kernels over frames; the authors' bias goes into the BN."""
        model = Recognizer2D(ResNet(18, 0.125, 4, non_local=mode), TSNHead(CLASSES, 64))
        state = random_state(model)
        rule = partial(names.non_local, is_mit=is_mit)
        file = {
            name: value[:, :, None]
            if re.search(r"\.(nl|non_local_block)\.", name) and value.ndim == 4
            else value
            for name, value in names.renamed(state, rule, is_torch=True).items()
        }
        bias = np.arange(16, dtype=np.float32)
        expected = dict(state)
        if is_mit:
            file["module.base_model.layer2.0.nl.W.0.bias"] = bias
            mean = "backbone.layer2.0.non_local.norm._mean"
            expected[mean] = state[mean] - bias
        assert sum(value.ndim == 5 for value in file.values()) == (4 if mode == "gaussian" else 8)
        path = write(tmp_path / "w.pdparams", file)
        report = load_weights(model, path)
        assert report.loaded == report.total == len(state)
        assert_equal(model, expected)
        is_unclear = mode != "gaussian" and not is_mit
        assert any("no name tells" in note for note in report.notes) == is_unclear
        with pytest.raises(WeightsError, match=r"have non-local blocks.*MODEL.backbone.non_local"):
            load_weights(build_tsn(), path)

    def test_the_authors_have_one_kind_of_non_local_block(self, tmp_path: Path) -> None:
        model = Recognizer2D(ResNet(18, 0.125, 4, non_local="dot_product"), TSNHead(CLASSES, 64))
        rule = partial(names.non_local, is_mit=True)
        state = names.renamed(names.state_of(model), rule, is_torch=True)
        path = write(tmp_path / "w.pdparams", state)
        with pytest.raises(WeightsError, match="non_local: embedded_gaussian"):
            load_weights(model, path)

    def test_half_precision_and_bfloat16(
        self, tmp_path: Path, donor: dict[str, np.ndarray]
    ) -> None:
        state = {k: v.astype(np.float16) for k, v in donor.items()}
        bits = donor["head.fc.bias"].view(np.uint32) >> 16
        state["head.fc.bias"] = bits.astype(np.uint16)
        model = build()
        load_weights(model, write(tmp_path / "w.pdparams", state))
        expected = {k: v.astype(np.float32) for k, v in state.items()}
        expected["head.fc.bias"] = (bits << 16).view(np.float32)
        assert_equal(model, expected)
