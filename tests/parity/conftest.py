# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The reference's recipe: every weight and input is made from the parameter's name."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def parity_dir(shared_dir: Path) -> Path:
    return shared_dir / "parity"


@pytest.fixture(scope="session")
def fill(parity_dir: Path) -> ModuleType:
    """The module that makes weights (``state_dict``) and inputs (``make_input``)."""
    spec = importlib.util.spec_from_file_location("parity_fill", parity_dir / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def recipe(fill: ModuleType, parity_dir: Path) -> dict[str, Any]:
    return fill.load_recipe(parity_dir / "recipe.json")


@pytest.fixture
def weights_file(
    fill: ModuleType, recipe: dict[str, Any], tmp_path: Path
) -> Callable[[str, str], Path]:
    """``weights_file(model, naming)``: the recipe's weights in a file under those names."""

    def make(model: str, naming: str) -> Path:
        path = tmp_path / f"{model}_{naming}.pdparams"
        path.write_bytes(pickle.dumps(fill.state_dict(recipe, model, naming), 4))
        return path

    return make
