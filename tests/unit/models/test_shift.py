# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddletsm.models.shift import temporal_shift


def defined(x: np.ndarray, t: int, div: int, mode: str, padding: str) -> np.ndarray:
    """The definition, frame by frame. x [N*T, C, H, W]."""
    clips = x.reshape(-1, t, *x.shape[1:])
    out, fold = clips.copy(), x.shape[1] // div
    for i in range(t):
        wraps = padding == "circulant"
        past = clips[:, i - 1, :fold] if i > 0 or wraps else np.zeros_like(clips[:, 0, :fold])
        out[:, i, :fold] = past
        if mode == "offline":
            second = slice(fold, 2 * fold)
            has_next = i + 1 < t or wraps
            nxt = clips[:, (i + 1) % t, second] if has_next else np.zeros_like(clips[:, 0, second])
            out[:, i, second] = nxt
    return out.reshape(x.shape)


shapes = st.tuples(
    st.integers(1, 3), st.integers(1, 6), st.integers(2, 24), st.integers(1, 4), st.integers(1, 4)
)


@settings(max_examples=120, deadline=None)
@given(
    shapes,
    st.integers(2, 9),
    st.sampled_from(["offline", "online"]),
    st.sampled_from(["zero", "circulant"]),
    st.sampled_from(["NCHW", "NHWC"]),
)
def test_equals_the_definition_with_gradients(
    shape: tuple[int, ...], div: int, mode: str, padding: str, data_format: str
) -> None:
    n, t, c, h, w = shape
    if div > c:
        return
    rng = np.random.default_rng(n * 1000 + t * 100 + c)
    x, weight = rng.standard_normal((2, n * t, c, h, w)).astype("float32")
    last = (0, 2, 3, 1)
    given_x = x if data_format == "NCHW" else x.transpose(last)
    tensor = paddle.to_tensor(np.ascontiguousarray(given_x), stop_gradient=False)
    out = temporal_shift(tensor, t, div, mode=mode, padding=padding, data_format=data_format)
    given_weight = weight if data_format == "NCHW" else weight.transpose(last)
    (out * paddle.to_tensor(np.ascontiguousarray(given_weight))).sum().backward()
    got, grad = out.numpy(), tensor.grad.numpy()
    if data_format == "NHWC":
        got, grad = got.transpose(0, 3, 1, 2), grad.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(got, defined(x, t, div, mode, padding))
    # The shift is linear: <shift(x), w> = <x, adjoint(w)> for every x fixes the gradient.
    np.testing.assert_allclose((grad * x).sum(), (got * weight).sum(), rtol=1e-3, atol=1e-4)
    probe = rng.standard_normal(x.shape).astype("float32")
    expected = (defined(probe, t, div, mode, padding) * weight).sum()
    np.testing.assert_allclose((grad * probe).sum(), expected, rtol=1e-3, atol=1e-3)


def test_first_fold_comes_from_the_past_as_in_paddle() -> None:
    x = paddle.arange(2 * 8, dtype="float32").reshape([2, 8, 1, 1])
    ours = temporal_shift(x, 2, 8).numpy()
    theirs = paddle.nn.functional.temporal_shift(x, 2, 1 / 8).numpy()
    np.testing.assert_array_equal(ours, theirs)
    assert ours[1, 0] == x.numpy()[0, 0]


def test_no_gradient_needed_gives_the_same() -> None:
    x = paddle.randn([8, 16, 3, 3])
    with_grad = x.clone()
    with_grad.stop_gradient = False
    np.testing.assert_array_equal(
        temporal_shift(x, 4).numpy(), temporal_shift(with_grad, 4).numpy()
    )


@pytest.mark.parametrize(("t", "div"), [(3, 8), (2, 1), (2, 17), (2, 2.5)])
def test_wrong_arguments_are_refused(t: int, div: int) -> None:
    with pytest.raises(ValueError, match=r"segments|shift_div"):
        temporal_shift(paddle.zeros([4, 16, 2, 2]), t, div)


@pytest.mark.parametrize(
    "wrong", [{"mode": "past"}, {"padding": "mirror"}, {"data_format": "NCWH"}]
)
def test_unknown_choices_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"expected one of .*, not"):
        temporal_shift(paddle.zeros([4, 16, 2, 2]), 2, **wrong)


def test_equals_the_references_on_swapped_folds(shared_dir: Path) -> None:
    cases = np.load(shared_dir / "parity/shift.npz")
    for name in {key[:-2] for key in cases if key.endswith("_x")}:
        _, t, c, _, _, div = (int(v) for v in cases[f"{name}_meta"])
        fold = c // div
        order = [*range(fold, 2 * fold), *range(fold), *range(2 * fold, c)]
        x = paddle.to_tensor(cases[f"{name}_x"][:, order].astype("float32"))
        ours = temporal_shift(x, t, div).numpy()[:, np.argsort(order)]
        for reference in ("mmaction2", "mit"):
            np.testing.assert_array_equal(ours, cases[f"{name}_{reference}"])
