# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddletsm.engine.checkpoint import (
    apply_state,
    find_state,
    of_process,
    read_resume_state,
    remove_old_weights,
    save_state,
    save_weights,
)
from paddletsm.engine.ema import Ema
from paddletsm.errors import ConfigError, WeightsError
from paddletsm.models import Recognizer2D, ResNetTSM, TSMHead
from paddletsm.models.weights import read_state
from paddletsm.utils.io import remove_leftovers, sealed_size


def make(classes: int = 3) -> tuple[Recognizer2D, paddle.optimizer.Momentum]:
    net = ResNetTSM(depth=18, width=0.125, num_seg=2)
    model = Recognizer2D(net, TSMHead(classes, net.out_channels, drop_ratio=0.0))
    trained = [p for p in model.parameters() if not p.stop_gradient]
    return model, paddle.optimizer.Momentum(0.1, parameters=trained)


META = {"state": {}, "run": {}}


def restore(path: Path, model: Recognizer2D, optimizer: paddle.optimizer.Momentum) -> dict:
    arrays, meta = read_resume_state(path)
    apply_state(path, arrays, model, optimizer)
    return meta


def step(model: Recognizer2D, optimizer: paddle.optimizer.Momentum, seed: int) -> None:
    paddle.seed(seed)
    model(paddle.randn([2, 2, 3, 32, 32])).sum().backward()
    optimizer.step()
    optimizer.clear_grad()


def test_continuing_equals_an_unbroken_run_bit_for_bit(tmp_path: Path) -> None:
    model, optimizer = make()
    step(model, optimizer, 1)
    save_state(tmp_path, model, optimizer, {"global_step": 1, **META})
    step(model, optimizer, 2)
    other, other_optimizer = make()  # other parameter names inside Paddle
    meta = restore(find_state(tmp_path), other, other_optimizer)
    assert meta == {"global_step": 1, **META}
    step(other, other_optimizer, 2)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), other.state_dict()[name].numpy(), name)


def test_only_the_newest_two_are_kept(tmp_path: Path) -> None:
    model, optimizer = make()
    step(model, optimizer, 1)
    for number in (3, 20, 100):
        save_state(tmp_path, model, optimizer, {"global_step": number, **META})
    names = [p.name for p in sorted(tmp_path.iterdir())]
    assert names == ["resume_step_00000020.npz", "resume_step_00000100.npz"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_damaged_state_is_passed_over(tmp_path: Path, damage: str) -> None:
    model, optimizer = make()
    step(model, optimizer, 1)
    good = save_state(tmp_path, model, optimizer, {"global_step": 1, **META})
    bad = save_state(tmp_path, model, optimizer, {"global_step": 2, **META})
    content = bytearray(bad.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 2] ^= 0xFF
    else:
        content = bytearray(b"" if damage == "empty" else b"hello")
    bad.write_bytes(bytes(content))
    assert find_state(tmp_path) == good
    with pytest.raises(WeightsError, match="incomplete or no resume state"):
        restore(bad, model, optimizer)


def test_no_state_and_state_of_another_network(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no complete resume state"):
        find_state(tmp_path)
    model, optimizer = make()
    save_state(tmp_path, model, optimizer, {"global_step": 1, **META})
    with pytest.raises(WeightsError, match=r"another network.*head\.fc"):
        restore(find_state(tmp_path), *make(classes=4))


def test_interrupted_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = make()
    path = tmp_path / "best.pdparams"
    save_weights(model, path)
    before = path.read_bytes()

    def break_off(state: object, name: str) -> None:
        Path(name).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(paddle, "save", break_off)
    with pytest.raises(OSError, match="No space"):
        save_weights(model, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["best.pdparams"]


@pytest.mark.parametrize("content", ["array", "archive"])
def test_other_numpy_files_are_no_resume_states(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3)) if content == "array" else np.savez(file, meta=np.array("{}"))
    with pytest.raises(WeightsError, match="no resume state"):
        read_resume_state(path)


@pytest.mark.parametrize(
    "edit",
    [
        {"optimizer/foo|_velocity_0": np.zeros(3, np.float32)},
        {"optimizer/head.fc.bias|_velocity_0": np.zeros(9, np.float32)},
        {"model/head.fc.bias": np.array(["a", "b", "c"])},
    ],
    ids=["unknown parameter", "shape of a velocity", "text"],
)
def test_edited_states_change_nothing(tmp_path: Path, edit: dict[str, np.ndarray]) -> None:
    model, optimizer = make()
    step(model, optimizer, 1)
    arrays, _ = read_resume_state(
        save_state(tmp_path, model, optimizer, {"global_step": 1, **META})
    )
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match="of another network"):
        apply_state(tmp_path, {**arrays, **edit}, model, optimizer)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_a_flipped_bit_in_weights_is_refused(tmp_path: Path) -> None:
    model, _ = make()
    path = tmp_path / "a.pdparams"
    save_weights(model, path)
    for loaded in (read_state(path), paddle.load(str(path))):  # others read it as ever
        np.testing.assert_array_equal(
            np.asarray(loaded["head.fc.weight"]), model.head.fc.weight.numpy()
        )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"a\.pdparams: its checksum is wrong"):
        read_state(path)
    paddle.save(model.state_dict(), str(path))  # a file without a seal is read as before
    assert sealed_size(path) is None
    assert read_state(path)


def test_ema_is_kept_and_cannot_be_added_or_lost(tmp_path: Path) -> None:
    model, optimizer = make()
    ema = Ema(model, 0.5)
    step(model, optimizer, 1)
    ema.update(0)
    path = save_state(tmp_path, model, optimizer, {"global_step": 1, **META}, ema=ema)
    other, other_optimizer = make()
    other_ema = Ema(other, 0.5)
    arrays, _ = read_resume_state(path)
    apply_state(path, arrays, other, other_optimizer, ema=other_ema)
    for name, tensor in ema.tensors.items():
        np.testing.assert_array_equal(tensor.numpy(), other_ema.tensors[name].numpy())
    with pytest.raises(ConfigError, match="saved with EMA"):
        apply_state(path, arrays, other, other_optimizer)
    plain = save_state(tmp_path, model, optimizer, {"global_step": 2, **META})
    with pytest.raises(ConfigError, match="saved without EMA"):
        apply_state(plain, read_resume_state(plain)[0], other, other_optimizer, ema=other_ema)


def test_every_process_gets_its_own_statistics(tmp_path: Path) -> None:
    model, optimizer = make()
    name = "model/backbone.bn1._mean"
    mine = model.backbone.bn1._mean.numpy()
    others = [{name: mine + 1}, {name: mine + 2}]
    meta = {"global_step": 1, **META}
    path = save_state(tmp_path, model, optimizer, meta, others=others)
    arrays, _ = read_resume_state(path)
    for rank in range(3):
        own, is_exact = of_process(arrays, rank=rank, size=3)
        assert is_exact
        np.testing.assert_array_equal(own[name], mine + rank)
        apply_state(path, own, model, optimizer)
    means, is_exact = of_process(arrays, rank=0, size=2)
    assert not is_exact
    np.testing.assert_allclose(means[name], mine + 1)


def test_old_weights_and_leftovers_are_removed(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"a_epoch_{number:05d}.pdparams").touch()
    (tmp_path / "a_best.pdparams").touch()
    (tmp_path / ".a_best.pdparams.x1.tmp").touch()
    remove_old_weights(tmp_path, "a_epoch_*.pdparams", 2)
    remove_leftovers(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a_best.pdparams", "a_epoch_00002.pdparams", "a_epoch_00010.pdparams"]


def test_no_file_outgrows_a_limit_without_a_word(tmp_path: Path) -> None:
    """As on a full disk: the old file stays, the error names the new one, nothing is left over."""
    model, optimizer = make()
    step(model, optimizer, 1)
    save_weights(model, tmp_path / "a.pdparams")
    save_state(tmp_path, model, optimizer, {"global_step": 1, **META})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        for write in (
            lambda: save_weights(model, tmp_path / "a.pdparams"),
            lambda: save_state(tmp_path, model, optimizer, {"global_step": 2, **META}),
        ):
            with pytest.raises(OSError, match="File too large") as caught:
                write()
            assert str(tmp_path) in caught.value.filename
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
