# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The form in which a stream is exported computes what the unrolled network computes."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from paddletsm.deploy.fuse import StreamsResNet
from paddletsm.deploy.online_form import FastStreaming
from paddletsm.models import Recognizer2D, ResNet, ResNetTSM, TSNHead
from paddletsm.models.streaming import to_streaming
from tests.unit.models.test_streaming import (
    CLASSES,
    NETWORKS,
    SEGMENTS,
    SIZE,
    build,
    clips,
    streamed,
)

MORE = {
    "r50-block": lambda: ResNetTSM(50, 0.125, SEGMENTS, shift_mode="online", shift_place="block"),
    "r18-thirds": lambda: ResNetTSM(18, 0.125, SEGMENTS, shift_mode="online", shift_div=3),
    "r18-halves": lambda: ResNetTSM(18, 0.125, SEGMENTS, shift_mode="online", shift_div=2),
}


@pytest.fixture(scope="module", params=[*NETWORKS, *MORE])
def model(request: pytest.FixtureRequest) -> Recognizer2D:
    return build({**NETWORKS, **MORE}[request.param])


@pytest.mark.parametrize("by_sums", [False, True])
def test_frames_and_states_are_those_of_the_plain_network(
    model: Recognizer2D, by_sums: bool
) -> None:
    plain, fast = to_streaming(model), FastStreaming(model, by_sums=by_sums)
    assert fast.state_shapes(SIZE, SIZE) == plain.state_shapes(SIZE, SIZE)
    x = clips(2)
    states = [plain.init_state(2, SIZE, SIZE)] * 2
    with paddle.no_grad():
        for number in range(SEGMENTS):
            (expected, first), (found, second) = (
                network(x[:, number], state)
                for network, state in zip((plain, fast), states, strict=True)
            )
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=0, atol=1e-4)
            for one, other in zip(first, second, strict=True):
                scale = float(one.abs().max())
                np.testing.assert_allclose(other.numpy(), one.numpy(), atol=1e-5 * scale)
            states = [first, second]


def test_sums_take_the_place_of_concats_in_mobilenet_alone() -> None:
    for name, differs in (("mobilenetv2", True), ("r18", False)):
        forms = [FastStreaming(build(NETWORKS[name]), by_sums=flag) for flag in (False, True)]
        keys = [set(form.fast.state_dict()) for form in forms]
        assert (keys[0] != keys[1]) == differs, name


@pytest.mark.parametrize("depth", [18, 50])
def test_no_channels_of_a_resnet_are_cut_or_joined_for_its_shifts(depth: int) -> None:
    """The state is a whole tensor; what is joined is the input of downsampling shortcuts alone."""
    model = build(lambda: ResNetTSM(depth, 0.125, SEGMENTS, shift_mode="online"))
    form = FastStreaming(model)
    assert isinstance(form.fast, StreamsResNet)
    inputs = [block.conv_a.weight.shape[1] for block in form.fast.blocks]
    assert inputs == [shape[0] for shape in form.state_shapes(SIZE, SIZE)]


def test_a_network_without_shifts_keeps_its_form() -> None:
    backbone = ResNet(18, 0.125, SEGMENTS)
    model = Recognizer2D(backbone, TSNHead(CLASSES, backbone.out_channels))
    model.eval()
    form = FastStreaming(model)
    assert form.state_shapes(SIZE, SIZE) == []
    plain = to_streaming(model)
    np.testing.assert_allclose(streamed(form, clips(1)), streamed(plain, clips(1)), atol=1e-6)


@pytest.mark.parametrize("name", ["r18", "mobilenetv2"])
def test_names_of_two_forms_do_not_clash(name: str) -> None:
    """Graphs know parameters by name; a name that stands for two tensors ruins the export."""
    for _ in range(2):
        form = FastStreaming(build(NETWORKS[name]), by_sums=True)
        names = {id(tensor): tensor.name for tensor in form.state_dict().values()}
        assert len(set(names.values())) == len(names)
