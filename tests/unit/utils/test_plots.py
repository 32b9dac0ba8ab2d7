# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Class names that no formula and no font must trip over."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from paddletsm.utils.plots import draw_confusion_matrix


def test_class_names_of_any_alphabet_are_drawn_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "matrix.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_confusion_matrix(np.eye(3, dtype=int), ["跳跃", "wave $x", "$\\frac$"], path)
    assert path.read_bytes().startswith(b"\x89PNG")
