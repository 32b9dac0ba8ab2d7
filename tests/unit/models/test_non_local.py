# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, get_args

import numpy as np
import paddle
import pytest

from paddletsm.models import NonLocal, Recognizer2D, ResNet, ResNetTSM, TSMHead, TSNHead
from paddletsm.models.non_local import NonLocalMode

MODES = get_args(NonLocalMode)


def filled(mode: str, channels: int = 6, segments: int = 3, **kwargs: Any) -> NonLocal:
    """A block in evaluation mode whose values are none of the initial ones."""
    block = NonLocal(channels, segments, mode, **kwargs)
    rng = np.random.default_rng(0)
    for name, tensor in block.state_dict().items():
        low = 0.5 if name.endswith("_variance") else -1.0
        tensor.set_value(rng.uniform(low, 1.5, tensor.shape).astype(np.float32))
    block.eval()
    return block


def defined(block: NonLocal, x: np.ndarray) -> np.ndarray:
    """One clip [T, C, H, W], position by position in float64."""
    p = {k: v.numpy().astype(np.float64) for k, v in block.state_dict().items()}

    def embed(name: str) -> np.ndarray:
        weight = p[f"{name}.weight"][:, :, 0, 0]
        return np.einsum("tchw,dc->tdhw", x, weight) + p[f"{name}.bias"][:, None, None]

    def pooled(y: np.ndarray) -> np.ndarray:
        t, c, h, w = y.shape
        y = y[:, :, : h // 2 * 2, : w // 2 * 2].reshape(t, c, h // 2, 2, w // 2, 2)
        return y.max((3, 5))

    def rows(y: np.ndarray) -> np.ndarray:
        return y.transpose(0, 2, 3, 1).reshape(-1, y.shape[1])

    is_gaussian = block.mode == "gaussian"
    query = rows(x if is_gaussian else embed("theta"))
    key = rows(pooled(x if is_gaussian else embed("phi")))
    value = rows(pooled(embed("g")))
    result = np.zeros((len(query), value.shape[1]))
    for i, q in enumerate(query):
        scores = np.array([q @ k for k in key])
        if block.mode == "dot_product":
            weights = scores / len(key)
        else:
            weights = np.exp(scores - scores.max())
            weights /= weights.sum()
        result[i] = weights @ value
    t, c, h, w = x.shape
    out = result @ p["out.weight"][:, :, 0, 0].T
    scale = p["norm.weight"] / np.sqrt(p["norm._variance"] + 1e-5)
    out = (out - p["norm._mean"]) * scale + p["norm.bias"]
    return x + out.reshape(t, h, w, c).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(4, 4), (5, 2)])
def test_equals_the_definition(mode: str, size: tuple[int, int]) -> None:
    block = filled(mode)
    x = np.random.default_rng(1).standard_normal((2, 3, 6, *size)).astype(np.float32)
    out = block(paddle.to_tensor(x.reshape(6, 6, *size))).numpy().reshape(x.shape)
    for clip, found in zip(x, out, strict=True):
        np.testing.assert_allclose(found, defined(block, clip.astype(np.float64)), atol=2e-5)


@pytest.mark.parametrize("mode", MODES)
def test_channels_last_is_the_same(mode: str) -> None:
    x = paddle.randn([6, 6, 4, 5])
    last = filled(mode, data_format="NHWC")(x.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])
    np.testing.assert_allclose(filled(mode)(x).numpy(), last.numpy(), atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_starts_as_the_identity_and_learns(mode: str) -> None:
    block = NonLocal(8, 2, mode)
    x = paddle.randn([4, 8, 4, 4])
    out = block(x)
    np.testing.assert_array_equal(out.numpy(), x.numpy())
    (out * paddle.randn(out.shape)).sum().backward()
    assert block.norm.weight.grad.abs().sum() > 0


def test_initial_values() -> None:
    paddle.seed(0)
    block = NonLocal(256, 2)
    for layer in (block.g, block.theta, block.phi):
        assert abs(layer.weight.numpy().std() - 0.01) < 5e-4
        assert not layer.bias.numpy().any()
    assert block.out.bias is None


@pytest.mark.parametrize(
    ("depth", "places"),
    [(18, ["2.0", "3.0"]), (50, ["2.0", "2.2", "3.0", "3.2", "3.4"])],
)
@pytest.mark.parametrize("network", [ResNet, ResNetTSM])
def test_blocks_stand_where_the_reference_has_them(
    network: type, depth: int, places: list[str]
) -> None:
    net = network(depth, 0.125, 2, non_local="embedded_gaussian")
    found = [name for name, layer in net.named_sublayers() if isinstance(layer, NonLocal)]
    assert found == [f"layer{place}.non_local" for place in places]
    assert network(depth, 0.125, 2).non_local is None


def test_clips_of_a_batch_do_not_mix_and_temporal_pool_halves_the_frames() -> None:
    net = ResNetTSM(18, 0.125, 4, temporal_pool=True, non_local="dot_product")
    for name, tensor in net.state_dict().items():
        if name.endswith("non_local.norm.weight"):
            tensor.set_value(paddle.ones_like(tensor))
    model = Recognizer2D(net, TSMHead(3, net.out_channels))
    model.eval()
    clips = paddle.randn([2, 4, 3, 64, 64])
    together = model(clips).numpy()
    alone = np.concatenate([model(clips[i : i + 1]).numpy() for i in range(2)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_network_without_shift_has_a_fixed_number_of_frames_then() -> None:
    net = ResNet(18, 0.125, 4, non_local="gaussian")
    model = Recognizer2D(net, TSNHead(3, net.out_channels))
    assert model(paddle.randn([1, 4, 3, 32, 32])).shape == [1, 3]
    with pytest.raises(ValueError, match=r"clips must be \[N, 4, 3, H, W\]"):
        model(paddle.randn([1, 5, 3, 32, 32]))


def test_online_networks_cannot_have_them() -> None:
    with pytest.raises(ValueError, match=r"later ones.*shift_mode: online"):
        ResNetTSM(18, 0.125, 4, shift_mode="online", non_local="gaussian")


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="embedded_gaussian, gaussian, dot_product, not 'gauss'"):
        ResNet(18, 0.125, 4, non_local="gauss")
