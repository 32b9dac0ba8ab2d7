# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm convert``: what it writes loads strictly; wrong input ends with one message."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from paddletsm.cli.convert import main
from paddletsm.convert.streams import swap_folds
from paddletsm.models import Recognizer2D, ResNet, TSNHead
from paddletsm.models.weights import load_weights, model_info, read_state
from tests.unit.weights import names
from tests.unit.weights.test_load_weights import (
    build,
    build_mobilenet,
    build_tsn,
    random_state,
    write,
)


def _mit_file(tmp_path: Path, **kwargs: object) -> tuple[Path, dict[str, np.ndarray]]:
    model = build(**kwargs)
    rng = np.random.default_rng(0)
    state = {
        k: rng.uniform(0.5, 1.5, v.shape).astype(np.float32)
        for k, v in names.state_of(model).items()
    }
    info = model_info(model)
    rule = partial(names.mit, shifted=info.shifted, is_block=info.shift_place == "block")
    return write(tmp_path / "in.pdparams", names.renamed(state, rule, is_torch=True)), state


@pytest.mark.parametrize("extension", [".pdparams", ".safetensors"])
@pytest.mark.parametrize("div", [8, 4])
def test_shifted_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extension: str, div: int
) -> None:
    if extension == ".safetensors":
        pytest.importorskip("safetensors")
    source, state = _mit_file(tmp_path, shift_div=div)
    target = tmp_path / f"out{extension}"
    assert main([str(source), str(target), "--shift_div", str(div)]) == 0
    output = capsys.readouterr().out
    assert "source tsm_reference" in output
    assert f"written: {target}" in output
    converted = read_state(target)
    for name, value in swap_folds(state, div).items():
        np.testing.assert_array_equal(converted[name], value)
    assert load_weights(build(shift_div=div), target).loaded == len(state)


@pytest.mark.parametrize(
    "kwargs", [{"shift_place": "block"}, {"depth": 50}, {"depth": 101, "width": 0.25}]
)
def test_network_is_found_from_the_file(tmp_path: Path, kwargs: dict[str, object]) -> None:
    source, state = _mit_file(tmp_path, **kwargs)
    target = tmp_path / "out.pdparams"
    assert main([str(source), str(target)]) == 0
    assert load_weights(build(**kwargs), target).loaded == len(state)


@pytest.mark.parametrize(
    ("rule", "kwargs"),
    [
        (names.mit_features, {}),
        (names.mmaction2_mobilenet, {"width": 0.5}),
        (partial(names.features, is_nested=False), {"shift_mode": "online"}),
    ],
)
def test_mobilenet_is_found_from_the_file(
    tmp_path: Path, rule: Callable[..., str], kwargs: dict[str, object]
) -> None:
    model = build_mobilenet(**kwargs)
    if not kwargs.get("shift_mode"):
        rule = partial(rule, shifted=model_info(model).shifted)
    state = random_state(model)
    source = write(tmp_path / "in.pdparams", names.renamed(state, rule, is_torch=True))
    assert main([str(source), str(tmp_path / "out.pdparams")]) == 0
    load_weights(build_mobilenet(**kwargs), source)
    converted = read_state(tmp_path / "out.pdparams")
    expected = state if "shift_mode" in kwargs else swap_folds(state, 8)
    for name, value in expected.items():
        np.testing.assert_array_equal(converted[name], value)


@pytest.mark.parametrize("mode", ["embedded_gaussian", "gaussian"])
def test_non_local_blocks_are_found_from_the_file(tmp_path: Path, mode: str) -> None:
    model = Recognizer2D(ResNet(18, 0.125, 4, non_local=mode), TSNHead(5, 64))
    rule = partial(names.non_local, is_mit=False)
    state = names.renamed(random_state(model), rule, is_torch=True)
    source = write(tmp_path / "in.pdparams", state)
    assert main([str(source), str(tmp_path / "out.pdparams")]) == 0
    assert load_weights(model, tmp_path / "out.pdparams").loaded == len(model.state_dict())


def test_arch_of_another_family(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = names.state_of(build_mobilenet())
    source = write(
        tmp_path / "in.pdparams", names.renamed(state, names.mit_features, is_torch=True)
    )
    assert main([str(source), str(tmp_path / "out.pdparams"), "--arch", "ResNetTSM"]) == 2
    assert "its tensors make up MobileNetV2, which is no ResNetTSM" in capsys.readouterr().err


def test_arch_decides_where_the_names_do_not(tmp_path: Path) -> None:
    state = names.state_of(build_tsn())
    source = write(tmp_path / "in.pdparams", names.renamed(state, names.mit, is_torch=True))
    for arch, expected in (("auto", state), ("ResNetTSM", swap_folds(state, 8))):
        assert main([str(source), str(tmp_path / "out.pdparams"), "--arch", arch]) == 0
        converted = read_state(tmp_path / "out.pdparams")
        for name, value in expected.items():
            np.testing.assert_array_equal(converted[name], value)


def test_imagenet_weights_give_a_backbone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = names.state_of(build_tsn(classes=1000))
    source = write(tmp_path / "in.pdparams", names.renamed(state, names.torchvision, is_torch=True))
    assert main([str(source), str(tmp_path / "out.pdparams")]) == 0
    output = capsys.readouterr().out
    assert "a backbone without classifier is written" in output
    assert "left out: fc.weight" in output
    assert set(read_state(tmp_path / "out.pdparams")) == {k for k in state if "head" not in k}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.pth", "out.pdparams"], "no such file"),
        (["in.pdparams", "out.npz"], ".pdparams or .safetensors"),
        (["text.pdparams", "out.pdparams"], "text file"),
        (["other.pdparams", "out.pdparams"], "no known source"),
        (["part.pdparams", "out.pdparams"], "make up no known network"),
        (["in.pdparams", "in.pdparams/out.pdparams"], "cannot be written"),
        (["in.pdparams", "out.pdparams", "--source", "mmaction2"], "make up no known network"),
    ],
)
def test_wrong_input(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    _mit_file(tmp_path)
    Path("text.pdparams").write_text("hello")
    write(Path("other.pdparams"), {"a": np.ones(2)})
    write(Path("part.pdparams"), {"layer1.0.bn1._mean": np.ones(2)})
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not Path("out.pdparams").exists()


@pytest.mark.parametrize("arguments", [["--source", "x"], ["--shift_div", "1"], ["--arch", "VGG"]])
def test_wrong_options(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["a.pth", "b.pdparams", *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_script_starts(repo_dir: Path, tmp_path: Path) -> None:
    script = repo_dir / "tools" / "convert_weights.py"
    done = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    assert "--source" in done.stdout


@pytest.mark.parametrize("arch", ["auto", "ResNet", "ResNetTSM"])
def test_names_that_do_not_tell_the_shift_need_not(tmp_path: Path, arch: str) -> None:
    """PaddleVideo's names are those of shifted and plain networks; nothing is re-ordered."""
    state = names.state_of(build_tsn())
    source = write(
        tmp_path / "TSM_k400.pdparams", names.renamed(state, names.paddlevideo, is_torch=False)
    )
    target = tmp_path / "out.pdparams"
    assert main([str(source), str(target), "--arch", arch]) == 0
    converted = read_state(target)
    assert set(converted) == set(state)
    for name, array in state.items():
        np.testing.assert_array_equal(converted[name], array, name)
