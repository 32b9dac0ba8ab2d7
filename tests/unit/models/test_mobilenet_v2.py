# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import paddle
import pytest

from paddletsm.models import MobileNetV2, MobileNetV2TSM, Recognizer2D, TSMHead, TSNHead
from paddletsm.models.shift import TemporalShift

SHIFTED = ["2.1", "3.1", "3.2", "4.1", "4.2", "4.3", "5.1", "5.2", "6.1", "6.2"]


def test_shifts_where_a_block_has_shortcut_and_expansion() -> None:
    network = MobileNetV2TSM()
    shifts = [n for n, layer in network.named_sublayers() if isinstance(layer, TemporalShift)]
    assert shifts == [f"layer{place}.shift" for place in SHIFTED]


def test_the_shift_is_on_the_input_of_the_expansion_only() -> None:
    """The shortcut carries the frame itself."""
    network = MobileNetV2TSM(width=0.25, num_seg=2)
    network.eval()
    block = network.layer4[1]
    x = paddle.randn([4, block.conv1.weight.shape[1], 5, 5])
    branch = block(x) - x
    block.shift, shift = None, block.shift
    np.testing.assert_allclose(branch.numpy(), (block(shift(x)) - shift(x)).numpy(), atol=1e-5)


def test_has_the_published_number_of_parameters() -> None:
    for network, head in ((MobileNetV2(), TSNHead), (MobileNetV2TSM(), TSMHead)):
        assert Recognizer2D(network, head(1000, 1280)).num_parameters() == 3_504_872


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.4])
def test_channels_are_those_of_paddle_vision(width: float) -> None:
    """The rule that rounds channel counts is the same at every published width."""
    theirs = paddle.vision.models.MobileNetV2(scale=width, num_classes=0).state_dict()
    ours = MobileNetV2(width).state_dict()
    assert [t.shape for t in ours.values()] == [t.shape for t in theirs.values()]


def test_width_must_be_positive() -> None:
    with pytest.raises(ValueError, match="width"):
        MobileNetV2(0.0)


def test_features_need_no_reordering() -> None:
    network = MobileNetV2TSM(width=0.25, num_seg=2)
    pooled = paddle.randn([4, network.out_channels])
    assert network.in_source_order(pooled) is pooled
