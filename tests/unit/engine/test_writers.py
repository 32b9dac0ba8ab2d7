# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""TensorBoard and VisualDL, with modules that stand in for the packages, and with the packages."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from paddletsm.builders import load_config
from paddletsm.engine.results import MetricsLog
from paddletsm.engine.writers import make_writers
from paddletsm.errors import ConfigError
from tests.conftest import REPO

MODULES = {"tensorboard": ("tensorboardX", "SummaryWriter", "events.out.tfevents.1")}
MODULES["visualdl"] = ("visualdl", "LogWriter", "vdlrecords.1.log")


@pytest.fixture(params=sorted(MODULES))
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the real name, whose writer appends lines to a file."""
    module, kind, file_name = MODULES[request.param]

    class Writer:
        def __init__(self, logdir: str) -> None:
            self.path = Path(logdir) / file_name

        def add_scalar(self, tag: str, value: float, step: int) -> None:
            with self.path.open("a") as file:
                file.write(f"{tag} {value} {step}\n")

        def close(self) -> None:
            pass

    fake = types.ModuleType(module)
    setattr(fake, kind, Writer)
    monkeypatch.setitem(sys.modules, module, fake)
    return request.param


def record(split: str, step: int, **values: float) -> dict:
    return {"split": split, "epoch": step // 10, "step": step, **values}


def test_a_resumed_run_has_no_point_twice(tmp_path: Path, stand_in: str) -> None:
    path = tmp_path / stand_in / MODULES[stand_in][2]
    log = MetricsLog(tmp_path / "metrics.jsonl", make_writers([stand_in], tmp_path))
    assert not path.parent.exists()  # nothing before the first record
    log.append(record("train", 10, loss=2.0, lr=0.1))
    log.append(record("valid", 10, top1=50.0, loss=float("nan")))
    log.append(record("train", 20, loss=1.0))
    log.close()
    again = MetricsLog(tmp_path / "metrics.jsonl", make_writers([stand_in], tmp_path))
    again.drop_after(10, is_validated=True)
    again.append(record("train", 20, loss=0.5))
    again.close()
    assert path.read_text().splitlines() == [
        "train/loss 2.0 10", "train/lr 0.1 10", "valid/top1 50.0 10", "train/loss 0.5 20",
    ]  # fmt: skip


def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigError, match=r"pip install 'paddletsm\[tensorboard\]'"):
        make_writers(["tensorboard"], tmp_path)


def test_writers_are_a_key_of_the_configuration() -> None:
    path = REPO / "configs/tsm_motion.yaml"
    assert load_config(path).writers == ()
    config = load_config(path, ["writers=[tensorboard, visualdl]"])
    assert config.writers == ("tensorboard", "visualdl")
    with pytest.raises(ConfigError, match="did you mean 'tensorboard'"):
        load_config(path, ["writers=[tensorbord]"])


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_real_packages_write_files(tmp_path: Path, name: str) -> None:
    pytest.importorskip(MODULES[name][0], reason=f"the extra {name!r} is not installed")
    log = MetricsLog(tmp_path / "metrics.jsonl", make_writers([name], tmp_path))
    log.append(record("train", 10, loss=2.0))
    log.drop_after(10, is_validated=True)
    log.close()
    pattern = MODULES[name][2].split("1")[0] + "*"
    (path,) = (tmp_path / name).glob(pattern)
    assert path.read_bytes().count(b"train/loss") == 1
