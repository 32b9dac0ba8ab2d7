# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom; docs/ARCHITECTURE.md draws the picture."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "paddletsm"

# A part may import the parts of lower rank, and itself.
RANK = {
    "errors": 0, "version": 0, "utils": 1, "registry": 2, "config": 3, "metrics": 3,
    "convert": 4, "protocols": 4, "data": 5, "models": 5, "builders": 6, "prepare": 6,
    "engine": 7, "deploy": 7,
    "report": 8, "benchmarks": 8, "cli": 9,
}  # fmt: skip
NO_PADDLE = ("errors", "registry", "config", "convert", "data", "prepare", "metrics", "utils")


def _imports(path: Path) -> list[tuple[str, bool]]:
    """Modules that a file imports, and whether at its top level."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, id(node) in top))
    return found


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_layers(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module, _ in _imports(path):
        if not module.startswith("paddletsm"):
            continue
        other = module.split(".")[1] if "." in module else "version"
        lazy_error = part == "utils" and other == "errors"
        assert other == part or RANK[other] < RANK[part] or lazy_error, f"{path}: {module}"
        pair = {part, other}
        assert pair != {"models", "data"}, f"{path}: {module}"
        assert pair != {"deploy", "engine"}, f"{path}: {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_paddle_stays_where_it_belongs(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module, is_top in _imports(path):
        is_paddle = module.split(".")[0] == "paddle"
        if is_paddle and part in NO_PADDLE:
            assert (path.name, is_top) == ("threads.py", False), f"{path} imports {module}"
        if module.startswith("paddle.distributed"):
            assert path == PACKAGE / "engine/distributed.py", f"{path} imports {module}"


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, paddletsm; paddletsm.sample_segments; dir(paddletsm); "
        "heavy = {'paddle', 'cv2', 'decord', 'matplotlib', 'torch'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_size_limits() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, f"{path} is longer than 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = node.end_lineno - node.lineno + 1
                assert length <= 60, f"{path}:{node.lineno} {node.name} has {length} lines"
