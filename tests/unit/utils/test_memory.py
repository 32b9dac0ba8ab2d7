# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes

import pytest

from paddletsm.utils.memory import give_back_memory


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    give_back_memory()  # whatever this system has

    def missing(name: object) -> object:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    give_back_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    give_back_memory()
