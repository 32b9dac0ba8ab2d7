# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What does not fit is refused with a table, and the model stays as it was."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from paddletsm.errors import WeightsError
from paddletsm.models import (
    Recognizer2D,
)
from paddletsm.models.weights import load_pretrained_backbone, load_weights, model_info
from tests.unit.weights import names
from tests.unit.weights.test_load_weights import (
    CLASSES,
    assert_equal,
    build,
    build_tsn,
    random_state,
    snapshot,
    write,
)


@pytest.fixture(scope="module")
def donor() -> dict[str, np.ndarray]:
    return random_state(build())


class TestStrict:
    @pytest.fixture
    def model(self) -> Recognizer2D:
        return build()

    def _refused(self, model: Recognizer2D, path: Path, match: str, **kwargs: bool) -> str:
        before = snapshot(model)
        with pytest.raises(WeightsError, match=f"(?s){match}") as caught:
            load_weights(model, path, **kwargs)
        assert_equal(model, before)
        message = str(caught.value)
        assert message.startswith(str(path))
        assert len(message) < 2500
        return message

    def test_missing_unexpected_and_other_shape_in_one_table(
        self, tmp_path: Path, donor: dict[str, np.ndarray], model: Recognizer2D
    ) -> None:
        state = dict(donor)
        del state["backbone.layer1.0.conv1.weight"]
        state["backbone.layer9.weight"] = np.ones(1, np.float32)
        state["backbone.conv1.weight"] = np.ones((8, 3, 3, 3), np.float32)
        message = self._refused(model, write(tmp_path / "w.pdparams", state), "do not fit")
        assert "missing        1: backbone.layer1.0.conv1.weight" in message
        assert "unexpected     1: backbone.layer9.weight" in message
        assert "backbone.conv1.weight [8, 3, 3, 3] instead of [8, 3, 7, 7]" in message

    def test_long_tables_are_cut_and_name_both_networks(
        self, tmp_path: Path, model: Recognizer2D
    ) -> None:
        path = write(tmp_path / "w.pdparams", names.state_of(build(50)))
        message = self._refused(model, path, "they are of ResNet-50, the model is ResNet-18")
        assert "more)" in message

    def test_other_width(self, tmp_path: Path, model: Recognizer2D) -> None:
        path = write(tmp_path / "w.pdparams", names.state_of(build(width=0.25)))
        self._refused(model, path, "MODEL.backbone.width")

    def test_other_class_count(
        self, tmp_path: Path, donor: dict[str, np.ndarray], model: Recognizer2D
    ) -> None:
        for rule, is_torch in ((str, False), (names.mit, True)):
            state = names.renamed(names.state_of(build(classes=7)), rule, is_torch=is_torch)
            path = write(tmp_path / "w.pdparams", state)
            match = "7 classes, the model has 5.*num_classes.*reset_head=True"
            self._refused(model, path, match)

    def test_reset_head_keeps_the_models_head(self, tmp_path: Path, model: Recognizer2D) -> None:
        state = names.state_of(build(classes=7))
        before = snapshot(model)
        report = load_weights(model, write(tmp_path / "w.pdparams", state), reset_head=True)
        assert report.kept == report.left_out == ("head.fc.weight", "head.fc.bias")
        heads = {k: v for k, v in before.items() if k.startswith("head.")}
        assert_equal(model, {**state, **heads})

    def test_names_of_nobody(self, tmp_path: Path, model: Recognizer2D) -> None:
        path = write(tmp_path / "w.pdparams", {"linear.weight": np.ones((2, 2))})
        self._refused(model, path, "no known source.*linear.weight.*known sources: mmaction2")

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("conv2d_0.w_0_velocity_0", "optimiser"),
            ("backbone.blocks.0.attn.qkv.weight", "a transformer"),
            ("backbone.conv1_1._conv.weight", "ResNet-vd"),
            ("features.0.0.weight", "MobileNetV3"),
        ],
    )
    def test_well_known_strangers_are_named(
        self, tmp_path: Path, model: Recognizer2D, name: str, kind: str
    ) -> None:
        self._refused(model, write(tmp_path / "w.pdparams", {name: np.ones(2)}), kind)

    def test_none_of_the_models_names(self, tmp_path: Path, model: Recognizer2D) -> None:
        state = {"backbone.layer7.0.bn1._mean": np.ones(2, np.float32)}
        path = write(tmp_path / "w.pdparams", state)
        self._refused(model, path, "none of its 1 tensors belongs", reset_head=True)

    def test_integers_are_no_weights(
        self, tmp_path: Path, donor: dict[str, np.ndarray], model: Recognizer2D
    ) -> None:
        state = {**donor, "head.fc.bias": np.ones(CLASSES, np.int64)}
        self._refused(model, write(tmp_path / "w.pdparams", state), "head.fc.bias holds .* int64")

    def test_diverged_weights(
        self, tmp_path: Path, donor: dict[str, np.ndarray], model: Recognizer2D
    ) -> None:
        state = {**donor, "head.fc.bias": np.full(CLASSES, np.nan, np.float32)}
        self._refused(model, write(tmp_path / "w.pdparams", state), "head.fc.bias holds NaN")

    def test_one_tensor_twice(
        self, tmp_path: Path, donor: dict[str, np.ndarray], model: Recognizer2D
    ) -> None:
        state = names.renamed(donor, names.mit, is_torch=True)
        conv = state["module.base_model.layer1.0.conv1.weight"]
        state["module.base_model.layer1.0.conv1.net.weight"] = conv
        path = write(tmp_path / "w.pdparams", state)
        self._refused(model, path, "backbone.layer1.0.conv1.weight twice")

    def test_unknown_source(
        self, tmp_path: Path, donor: dict[str, np.ndarray], model: Recognizer2D
    ) -> None:
        path = write(tmp_path / "w.pdparams", donor)
        with pytest.raises(WeightsError, match="'torchvison'; did you mean 'torchvision'"):
            load_weights(model, path, source="torchvison")

    def test_wrong_source(
        self, tmp_path: Path, donor: dict[str, np.ndarray], model: Recognizer2D
    ) -> None:
        path = write(tmp_path / "w.pdparams", donor)
        with pytest.raises(WeightsError):
            load_weights(model, path, source="mmaction2")

    def test_planted_pickle(self, tmp_path: Path, model: Recognizer2D) -> None:
        marker = tmp_path / "marker"

        class Evil:
            def __reduce__(self) -> tuple[object, ...]:
                return os.system, (f"touch {marker}",)

        path = write(tmp_path / "w.pdparams", {"backbone.conv1.weight": Evil()})
        self._refused(model, path, "refused")
        assert not marker.exists()


class TestWhereTheNetworksShift:
    """Names and shapes agree, the results would not: only the wrappers in the names tell."""

    def _file(self, tmp_path: Path, model: Recognizer2D) -> Path:
        info = model_info(model)
        rule = partial(names.mit, shifted=info.shifted, is_block=info.shift_place == "block")
        state = names.renamed(names.state_of(model), rule, is_torch=True)
        return write(tmp_path / "w.pdparams", state)

    @pytest.mark.parametrize(
        ("theirs", "ours", "match"),
        [
            (build, build_tsn, "temporal shift, the model has none.*ResNetTSM"),
            (partial(build, shift_place="block"), build, "shift_place: block"),
            (build, partial(build, shift_place="block"), "shift_place: blockres"),
        ],
    )
    def test_refused_unless_it_is_pretraining(
        self,
        tmp_path: Path,
        theirs: Callable[[], Recognizer2D],
        ours: Callable[[], Recognizer2D],
        match: str,
    ) -> None:
        path = self._file(tmp_path, theirs())
        with pytest.raises(WeightsError, match=match):
            load_weights(ours(), path)
        report = load_pretrained_backbone(ours(), path)
        assert any("shift" in note for note in report.notes)

    def test_temporal_pool(self, tmp_path: Path) -> None:
        state = {
            k.replace("layer2.", "layer2.net."): v
            for k, v in pickle.loads(self._file(tmp_path, build()).read_bytes()).items()
        }
        path = write(tmp_path / "pooled.pdparams", state)
        with pytest.raises(WeightsError, match="temporal_pool: true"):
            load_weights(build(), path)
        assert load_weights(build(temporal_pool=True), path).loaded == 102
        with pytest.raises(WeightsError, match="temporal_pool: false"):
            load_weights(build(temporal_pool=True), self._file(tmp_path, build()))

    def test_number_of_shifted_blocks(self, tmp_path: Path) -> None:
        model = build(101)
        rule = partial(names.mit, shifted=model_info(build(101, shift_place="block")).shifted)
        state = names.renamed(names.state_of(model), rule, is_torch=True)
        with pytest.raises(WeightsError, match="shifts 33 blocks, the model 18"):
            load_weights(build(101), write(tmp_path / "w.pdparams", state))

    def test_weights_without_shift_into_a_shifted_network_say_so(self, tmp_path: Path) -> None:
        report = load_weights(build(), self._file(tmp_path, build_tsn()))
        assert "its network has no temporal shift, the model has one" in report.notes
