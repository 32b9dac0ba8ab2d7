# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddletsm.data import Batch, ClipLoader, eval_batches, train_batches
from paddletsm.data.pipeline import Pipeline
from paddletsm.data.runners import ProcessRunner
from paddletsm.data.sampling import Sampler
from paddletsm.data.transforms import (
    AugMix,
    ColorJitter,
    Normalization,
    RandAugment,
    RandomFlip,
    RandomResizedCrop,
)
from paddletsm.errors import ConfigError, DataError
from tests.unit.data.fakes import FakeDecoder, make_dataset

REPO = Path(__file__).resolve().parents[3]
posix = pytest.mark.skipif(os.name != "posix", reason="signals")


def load(
    paths: list[str], batch_size: int, num_workers: int, *, timeout_s: float = 60.0
) -> list[Batch]:
    with ClipLoader(make_dataset(paths), num_workers=num_workers, timeout_s=timeout_s) as loader:
        return list(loader.iterate(eval_batches(len(paths), batch_size), epoch=2))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie of the test's own has ended, too.
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def wait_until_gone(pids: list[int], seconds: float = 10.0) -> list[int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(map(is_alive, pids)):
        time.sleep(0.05)
    return [pid for pid in pids if is_alive(pid)]


# --- which samples ------------------------------------------------------------------------------


@given(st.integers(0, 200), st.integers(1, 9), st.integers(1, 4))
def test_evaluation_covers_every_sample_once(n: int, batch_size: int, world: int) -> None:
    parts = [eval_batches(n, batch_size, rank=rank, world=world) for rank in range(world)]
    everything = [int(i) for part in parts for batch in part for i in batch]
    assert sorted(everything) == list(range(n))
    sizes = [len(batch) for part in parts for batch in part]
    assert all(1 <= size <= batch_size for size in sizes)


@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 4), st.integers(0, 5))
def test_training_slices_one_permutation(n: int, batch_size: int, world: int, epoch: int) -> None:
    parts = [
        train_batches(n, batch_size, epoch=epoch, seed=1, rank=rank, world=world)
        for rank in range(world)
    ]
    steps = max(1, n // (batch_size * world))
    assert [len(part) for part in parts] == [steps] * world
    shared = [np.concatenate(step) for step in zip(*parts, strict=True)]
    if n >= batch_size * world:
        # Two processes of 8 see the clips of one of 16, in the same order.
        alone = train_batches(n, batch_size * world, epoch=epoch, seed=1)
        assert [s.tolist() for s in shared] == [s.tolist() for s in alone]
        assert len(np.unique(np.concatenate(shared))) == steps * batch_size * world
    else:
        assert set(shared[0].tolist()) == set(range(n))
        assert len(shared[0]) == max(n, world)
        assert all(len(part[0]) >= 1 for part in parts)


def test_permutations_differ_by_epoch_and_seed() -> None:
    first = np.concatenate(train_batches(64, 8, epoch=0, seed=0))
    again = np.concatenate(train_batches(64, 8, epoch=0, seed=0))
    assert first.tolist() == again.tolist()
    for epoch, seed in ((1, 0), (0, 1)):
        assert (
            first.tolist() != np.concatenate(train_batches(64, 8, epoch=epoch, seed=seed)).tolist()
        )


def test_wrong_shares() -> None:
    assert train_batches(0, 8, epoch=0, seed=0) == eval_batches(0, 8) == []
    with pytest.raises(ValueError, match="rank 2 of 2"):
        eval_batches(8, 2, rank=2, world=2)
    with pytest.raises(ValueError, match="batches of 0"):
        train_batches(8, 0, epoch=0, seed=0)


# --- reading them -------------------------------------------------------------------------------


def test_batches_do_not_depend_on_workers() -> None:
    paths = ["ok"] * 7 + ["broken/7"] + ["ok"] * 5
    runs = [load(paths, 4, num_workers) for num_workers in (0, 1, 2)]
    for batches in runs:
        assert [batch.ids.tolist() for batch in batches] == [
            [0, 1, 2, 3],
            [4, 5, 6],
            [8, 9, 10, 11],
            [12],
        ]
        assert batches[1].labels.tolist() == [1, 2, 0]
        assert [(f.sample_id, f.path, f.reason) for f in batches[1].failed] == [
            (7, "broken/7", "a.list:8: broken/7: broken")
        ]
        for batch, other in zip(batches, runs[0], strict=True):
            assert batch.clips.dtype == np.float32
            assert batch.clips.shape == (len(batch.ids), 1, 4, 3, 12, 12)
            assert np.array_equal(batch.clips, other.clips)
    dataset = make_dataset(paths)
    assert np.array_equal(runs[2][1].clips[2], dataset.load(6, epoch=2).frames)


def test_augmented_batches_do_not_depend_on_workers() -> None:
    transforms = [
        RandomResizedCrop(24),
        RandomFlip(label_map=[[0, 2]]),
        ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
        RandAugment(),
        RandAugment("pytorchvideo"),
        AugMix(),
        Normalization([0.5] * 3, [0.25] * 3),
    ]
    dataset = make_dataset(["ok"] * 9)
    dataset.pipeline = Pipeline(FakeDecoder(), Sampler(4), transforms)
    runs = []
    for num_workers in (0, 1, 2):
        with ClipLoader(dataset, num_workers=num_workers) as loader:
            runs.append(list(loader.iterate([[3, 1, 4], [0, 5], [2, 8, 6, 7]], epoch=2)))
    for batches in runs:
        for batch, other in zip(batches, runs[0], strict=True):
            assert np.array_equal(batch.clips, other.clips)
            assert np.array_equal(batch.labels, other.labels)
    alone = dataset.load(8, epoch=2)
    assert np.array_equal(runs[2][2].clips[1], alone.frames)
    assert not np.array_equal(alone.frames, dataset.load(8, epoch=3).frames)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_outlive_epochs(num_workers: int) -> None:
    with ClipLoader(make_dataset(["ok"] * 6), num_workers=num_workers) as loader:
        first = list(loader.iterate(eval_batches(6, 2), epoch=0))
        pids = [runner.pid for runner in loader._runners if isinstance(runner, ProcessRunner)]
        # Left early: what was read ahead must not appear in the next epoch.
        assert next(loader.iterate(eval_batches(6, 1), epoch=1)).ids.tolist() == [0]
        again = list(loader.iterate(eval_batches(6, 2), epoch=0))
        for batch, other in zip(first, again, strict=True):
            assert np.array_equal(batch.clips, other.clips)
        assert pids == [r.pid for r in loader._runners if isinstance(r, ProcessRunner)]


def test_all_samples_of_a_batch_fail() -> None:
    with ClipLoader(make_dataset(["broken/x", "broken/x", "ok"])) as loader:
        batches = list(loader.iterate([[0, 1], [2]])) + list(loader.iterate([[0, 1]]))
    assert [batch.clips is None for batch in batches] == [True, False, True]
    assert [len(batch.failed) for batch in batches] == [2, 0, 2]
    assert batches[0].labels.shape == batches[0].ids.shape == (0,)
    # With the place in the list; saying it, once per path, is the caller's business.
    assert batches[0].failed[0].reason == "a.list:1: broken/x: broken"


@pytest.mark.parametrize("num_workers", [0, 1])
def test_clips_of_different_shape(num_workers: int) -> None:
    dataset = make_dataset(["ok", "large/1", "ok"], crop=None)
    with ClipLoader(dataset, num_workers=num_workers) as loader:
        with pytest.raises(DataError, match=r"(16x16|20x20).*(16x16|20x20).*crop"):
            list(loader.iterate([[0, 1, 2]]))
        # Nothing is left over from it.
        assert [b.clips.shape[-1] for b in loader.iterate([[0], [1], [2]])] == [16, 20, 16]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_bugs_are_not_failed_samples(num_workers: int) -> None:
    with (
        ClipLoader(make_dataset(["ok", "bug/1"]), num_workers=num_workers) as loader,
        pytest.raises((RuntimeError, KeyError), match="a bug"),
    ):
        list(loader.iterate([[0, 1]]))


def test_batches_are_read_ahead_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset(["ok"] * 40)
    read: list[int] = []
    original = dataset.read_into
    monkeypatch.setattr(
        dataset, "read_into", lambda s, e, d: read.append(s.id) or original(s, e, d)
    )
    with ClipLoader(dataset) as loader:
        batches = loader.iterate(eval_batches(40, 4))
        next(batches)
        end = time.monotonic() + 5
        while len(read) < 12 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        assert read == list(range(12))  # the batch in use and two more
        batches.close()


# --- what goes wrong ----------------------------------------------------------------------------


@posix
def test_killed_worker_is_replaced() -> None:
    batches = load(["ok", "killed/1", "ok", "ok", "killed/4", "ok"], 3, 2)
    assert [batch.ids.tolist() for batch in batches] == [[0, 2], [3, 5]]
    for batch in batches:
        (failure,) = batch.failed
        assert failure.reason.endswith("the worker process died while reading it (SIGKILL)")
        assert failure.path in failure.reason


@posix
def test_worker_killed_while_idle_costs_nothing() -> None:
    with ClipLoader(make_dataset(["ok"] * 4), num_workers=1) as loader:
        assert len(list(loader.iterate([[0, 1]]))) == 1
        pid = loader._runners[0].pid
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while not loader._runners[0]._worker.has_ended and time.monotonic() < end:
            time.sleep(0.01)
        (batch,) = loader.iterate([[2, 3]])
        assert batch.ids.tolist() == [2, 3]
        assert loader._runners[0].pid != pid


def test_stuck_worker_is_cut_off() -> None:
    batches = load(["ok", "stuck/1", "ok", "ok"], 2, 1, timeout_s=0.5)
    assert [batch.ids.tolist() for batch in batches] == [[0], [2, 3]]
    assert "stuck/1: not read within 0.5 s" in batches[0].failed[0].reason


def test_worker_process_is_light() -> None:
    (batch,) = load(["modules/0"], 1, 1)
    assert "heavy: []" in batch.failed[0].reason


def test_output_of_a_worker_is_no_data(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    """Prints go to standard error, log records to the parent's logger, each once."""
    with caplog.at_level(logging.INFO):
        batches = load(["chatty/0", "chatty/1", "ok"], 3, 2)
    assert batches[0].ids.tolist() == [0, 1, 2]
    assert [r.getMessage() for r in caplog.records] == ["said once"]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("a library prints") == 2


def test_close_is_final_and_may_be_repeated() -> None:
    loader = ClipLoader(make_dataset(["ok"] * 4), num_workers=2)
    list(loader.iterate(eval_batches(4, 2)))
    pids = [runner.pid for runner in loader._runners]
    loader.close()
    loader.close()
    assert wait_until_gone(pids) == []
    with pytest.raises(RuntimeError, match="closed"):
        loader.iterate([[0]])


def test_forgotten_loader_ends_its_workers() -> None:
    loader = ClipLoader(make_dataset(["ok"]), num_workers=1)
    list(loader.iterate([[0]]))
    pids = [runner.pid for runner in loader._runners]
    del loader
    gc.collect()
    assert wait_until_gone(pids) == []


def test_close_from_another_thread_ends_the_wait() -> None:
    loader = ClipLoader(make_dataset(["stuck/0"]), num_workers=1)
    batches = loader.iterate([[0]])
    threading.Timer(0.5, loader.close).start()
    with pytest.raises(RuntimeError, match="closed"):
        next(batches)


class _Local(FakeDecoder):
    """Pickled by a name that workers are not told."""

    __module__ = "__main__"


def test_wrong_numbers_and_pipelines() -> None:
    dataset = make_dataset(["ok"])
    with pytest.raises(ConfigError, match="num_workers"):
        ClipLoader(dataset, num_workers=-1)
    with pytest.raises(ConfigError, match="timeout_s"):
        ClipLoader(dataset, timeout_s=0)
    transforms = [Normalization([0.5] * 3, [0.25] * 3)]
    dataset.pipeline = Pipeline(_Local(), Sampler(4), transforms)
    with pytest.raises(ConfigError, match="cannot be sent to worker processes"):
        ClipLoader(dataset, num_workers=1)
    dataset.pipeline = Pipeline(FakeDecoder(), Sampler(4), transforms)
    dataset.pipeline.decoder.hook = lambda: None
    with pytest.raises(ConfigError, match="num_workers: 0"):
        ClipLoader(dataset, num_workers=1)


SCRIPT = """
    import signal, sys, time
    # A suite in the background of a shell is started with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from paddletsm.data import ClipLoader
    from paddletsm.data.sampling import Sampler
    from tests.unit.data.fakes import FakeDecoder, make_dataset

    class Mine(FakeDecoder):
        pass

    dataset = make_dataset(["ok", sys.argv[1]] * 2)
    if sys.argv[2] == "mine":
        dataset.pipeline.decoder = Mine()
    with ClipLoader(dataset, num_workers=2) as loader:
        for batch in loader.iterate([[0], [1], [2], [3]]):
            if len(batch.ids) and batch.ids[0] == 0:
                print(*[runner.pid for runner in loader._runners], flush=True)
        print("done", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    path = tmp_path / "script.py"  # without a main guard: workers must not run it
    path.write_text(textwrap.dedent(SCRIPT))
    return [sys.executable, str(path)]


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )


@posix
@pytest.mark.parametrize("what", ["ok", "stuck/1"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(script: list[str], what: str, sent: int) -> None:
    """Ctrl-C prints one traceback, that of the main process; a killed parent leaves nothing."""
    process = start([*script, what, "theirs"])
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    if what == "ok":
        assert process.stdout.readline() == "done\n"
    os.killpg(process.pid, sent)
    _, err = process.communicate(timeout=20)
    assert wait_until_gone(pids) == []
    assert err.count("Traceback") == (1 if sent == signal.SIGINT else 0), err


def test_component_of_the_main_script(script: list[str]) -> None:
    process = start([*script, "ok", "mine"])
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "must stand in a module that can be imported" in err
