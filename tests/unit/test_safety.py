# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Nothing that is read from a file is run: no eval, no plain pickle, planted code stays dead."""

from __future__ import annotations

import ast
import io
import json
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from paddletsm.cli import convert, export, train
from paddletsm.engine.checkpoint import find_state, read_resume_state
from paddletsm.errors import WeightsError
from paddletsm.models import Recognizer2D, ResNet, TSNHead
from paddletsm.models.weights import load_pretrained_backbone, load_weights, read_state

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("paddletsm/**/*.py"), *ROOT.glob("tools/*.py"), ROOT / "main.py"])
FORBIDDEN = {
    "eval", "exec", "compile", "pickle.load", "pickle.loads", "pickle.Unpickler", "paddle.load",
    "yaml.unsafe_load", "yaml.full_load", "os.system", "marshal.loads", "shelve.open",
}  # fmt: skip


def _called(node: ast.Call) -> str:
    names = []
    target: ast.expr = node.func
    while isinstance(target, ast.Attribute):
        names.append(target.attr)
        target = target.value
    if isinstance(target, ast.Name):
        names.append(target.id)
    return ".".join(reversed(names))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_call_that_runs_what_it_reads(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = _called(node)
        if path.name == "workers.py" and name == "pickle.loads":
            continue  # what the loader's own parent process has just sent through their pipe
        assert name not in FORBIDDEN, f"{path}:{node.lineno}: {name}"
        keywords = {k.arg: k.value for k in node.keywords}
        if name == "torch.load":
            assert getattr(keywords.get("weights_only"), "value", None) is True, path
        if name == "np.load":
            assert getattr(keywords.get("allow_pickle"), "value", None) is False, path
        if name == "yaml.load":
            assert ast.unparse(keywords["Loader"]) == "_Loader", path


class Planted:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, Path]:
    """(a weights file with code in it, the file that the code would create)."""
    trace = tmp_path / "trace"
    path = tmp_path / "weights.pdparams"
    path.write_bytes(pickle.dumps({"backbone.conv1.weight": Planted(trace)}))
    return path, trace


def _commands(path: Path, out: Path) -> list[Callable[[], int]]:
    config, output = str(ROOT / "configs/tsm_ucf101.yaml"), str(out)
    return [
        lambda: convert.main([str(path), str(out / "converted.pdparams")]),
        lambda: export.main(["-c", config, "-p", str(path), "-o", output]),
        lambda: train.main(["--test", "-c", config, "-w", str(path), "--output_dir", output]),
    ]


def test_weights(planted: tuple[Path, Path]) -> None:
    path, trace = planted
    backbone = ResNet(18, 0.125)
    model = Recognizer2D(backbone, TSNHead(3, backbone.out_channels))
    for suffix in (".pdparams", ".pdopt", ".safetensors", ".pth", ".pt", ".pth.tar"):
        file = path.with_name(f"weights{suffix}")
        file.write_bytes(path.read_bytes())
        for read in (
            read_state,
            lambda p: load_weights(model, p),
            lambda p: load_pretrained_backbone(model, p),
        ):
            with pytest.raises(WeightsError):
                read(file)
    assert not trace.exists()


def test_commands(planted: tuple[Path, Path], tmp_path: Path) -> None:
    path, trace = planted
    for command in _commands(path, tmp_path / "out"):
        assert command() == 2
    assert not trace.exists()


def _header_of_shape(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["deflated", "huge shape", "state is a list", "step is a text"])
def test_resume_states_that_lie(tmp_path: Path, kind: str) -> None:
    """Refused before anything is unpacked: the file stays small in memory, too."""
    path = tmp_path / "resume_step_00000009.npz"
    meta = {"global_step": 9, "state": {}, "run": {}}
    if kind == "deflated":
        np.savez_compressed(path, **{"meta": json.dumps(meta), "model/a": np.zeros(50_000_000)})
    elif kind == "huge shape":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/a.npy", _header_of_shape((1 << 40,)))
    else:
        wrong = {"state": []} if "state" in kind else {"global_step": "x"}
        np.savez(path, meta=json.dumps({**meta, **wrong}))
    tracemalloc.start()
    with pytest.raises(WeightsError, match="no resume state"):
        read_resume_state(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
    with pytest.raises(WeightsError, match="no complete resume state"):
        find_state(tmp_path)


def test_resume_state(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "resume_step_00000001.npz"
    code = np.array([Planted(trace)], dtype=object)
    np.savez(path, **{"meta": code, "model/a": code}, allow_pickle=True)
    with pytest.raises(WeightsError):
        read_resume_state(path)
    with pytest.raises(WeightsError):
        find_state(tmp_path)
    path.write_bytes(pickle.dumps(Planted(trace)))
    with pytest.raises(WeightsError):
        read_resume_state(path)
    assert not trace.exists()
