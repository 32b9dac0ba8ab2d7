# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What is measured is measured on the right clips; how fast it is, no test can tell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paddletsm.benchmarks import plain_loop
from paddletsm.benchmarks.data import clip_dataset, measure_loaders, measure_stages, soak
from paddletsm.cli import benchmark
from paddletsm.data import open_video
from paddletsm.errors import DataError
from tests.conftest import REPO, random_frames, write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "videos" / "clip.avi", random_frames(20, 240, 320))


def test_clips_that_a_user_names(tmp_path: Path, video: Path) -> None:
    frames = plain_loop.write_frames(tmp_path / "frames", count=12)
    named = clip_dataset([str(video), str(video.parent), str(frames), str(tmp_path / "frames")])
    assert [sample.path for sample in named.samples] == [str(video), str(frames)]
    assert named.load(0).frames.shape == named.load(1).frames.shape == (1, 8, 3, 224, 224)
    with pytest.raises(DataError, match="does not exist; did you mean"):
        clip_dataset([str(tmp_path / "video")])
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no video"):
        clip_dataset([str(tmp_path / "none")])


@pytest.mark.parametrize("source", ["frames", "video", "short"])
def test_both_ways_make_the_same_clips(tmp_path: Path, video: Path, source: str) -> None:
    if source == "frames":
        path = plain_loop.write_frames(tmp_path, str(video), count=12)
    else:
        path = video if source == "video" else write_video(tmp_path / "s.avi", random_frames(5))
    dataset = clip_dataset([str(path)], backend="opencv")
    mirrored = []
    for epoch in range(6):
        plain = plain_loop.plain_clip(dataset, dataset.samples[0], epoch)
        ours = dataset.load(0, epoch).frames[0]
        # float32 rounds three times in one and twice in the other
        np.testing.assert_allclose(plain, ours, rtol=0, atol=2e-6)
        mirrored.append(np.random.default_rng((0, epoch, 0)).random())
    assert len(set(mirrored)) == 6


def test_different_clips_are_refused(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = clip_dataset([str(video)])
    monkeypatch.setattr(plain_loop, "_our_clip", lambda d, s, e: d.read(s, e + 1).frames[0])
    with pytest.raises(DataError, match="give different clips"):
        plain_loop._both(dataset, dataset.samples[0], 1, 1)


def test_figures(tmp_path: Path) -> None:
    dataset = clip_dataset([str(plain_loop.write_frames(tmp_path, count=12))])
    stages = measure_stages(dataset, 3)
    parts = stages.open + stages.seek + stages.decode + stages.transform + stages.normalize
    assert 0 < parts
    assert stages.decode > stages.open
    inside, worker = measure_loaders(dataset, (0, 1), batch_size=2, clips=4, rounds=1)
    assert (inside.workers, worker.workers) == (0, 1)
    assert inside.worker_mb is None
    assert min(inside.clips_per_s, worker.clips_per_s) > 0
    marks = list(soak(dataset, 5, reports=2))
    assert [clips for clips, _ in marks] == [1, 2, 5]
    assert all(megabytes > 10 for _, megabytes in marks)


def run(*args: str) -> int:
    return benchmark.main(["data", *args])


def test_command(video: Path, capsys: pytest.CaptureFixture) -> None:
    few = ["--num", "2", "--rounds", "1", "--workers", "0", "--batch_size", "1"]
    assert run(str(video), *few, "--backend", "opencv") == 0
    assert "decode" in capsys.readouterr().out
    assert run(str(video), *few, "--backend", "decord", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record) == {"decoders", "stages_ms", "loaders"}
    assert record["decoders"] == "opencv", "which reads AVI for decord"
    assert run(str(video), "--soak", "2", "--backend", "opencv") == 0
    assert "2 clips" in capsys.readouterr().out


def test_the_tables_name_what_auto_was(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture
) -> None:
    second = write_video(tmp_path / "b.mp4", random_frames(20, 240, 320), codec="mp4v")
    few = ["--num", "2", "--rounds", "1", "--batch_size", "1"]
    used = {path: open_video(path).backend for path in (video, second)}
    names = ", ".join(sorted(set(used.values())))
    assert run(str(video), str(second), *few, "--workers", "0") == 0
    assert f"videos read by {names}\n" in capsys.readouterr().out
    assert run("--compare", str(video), str(second), *few) == 0
    printed = capsys.readouterr().out
    assert f"videos, {names} " in printed
    rows = {row.split()[0]: row.split()[1] for row in printed.splitlines() if row}
    assert rows["jpeg_340x256"] == "-"
    # The comparison runs in a process of its own, which has imported nothing yet.
    ask = "import sys; from paddletsm.data import open_video as o; print(o(sys.argv[1]).backend)"
    for path in (video, second):
        words = [sys.executable, "-c", ask, str(path)]
        fresh = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=True)
        assert rows[path.name] == fresh.stdout.strip()


def test_compare(video: Path, capsys: pytest.CaptureFixture) -> None:
    args = ["--num", "2", "--rounds", "1", "--batch_size", "1", "--backend", "opencv", "--json"]
    assert run("--compare", str(video), *args) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["source"] for one in record["plain_loop"]] == ["jpeg_340x256", "clip.avi"]
    assert all(one["ratio"] > 0 for one in record["plain_loop"])
    assert [one["source"] for one in record["workers"]] == ["frames", "videos, opencv"]


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ([], "say what to read"),
        (["none.avi"], "does not exist"),
        (["x.avi", "-c", "x.yaml"], "not from both"),
        (["-c", "x.yaml", "--backend", "auto"], "--backend: the configuration says it"),
    ],
)
def test_wrong_input(args: list[str], match: str, capsys: pytest.CaptureFixture) -> None:
    assert run(*args) == 2
    assert match in capsys.readouterr().err
