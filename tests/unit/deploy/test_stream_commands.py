# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""``paddletsm stream`` and ``predict --timeline`` as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from paddletsm import ConfigError, Predictor
from paddletsm.cli import predict as predict_command
from paddletsm.cli import stream as stream_command
from paddletsm.cli.entry import COMMANDS
from paddletsm.models import Recognizer2D
from tests.conftest import REPO, random_frames, write_video
from tests.unit.deploy.conftest import LABELS, make_model
from tests.unit.deploy.test_online_export import StreamFacts, export

ALWAYS = ["--threshold", "0.01", "--release", "0.005", "--min_duration", "0"]


@pytest.fixture(scope="module")
def online_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Expects 8 frames per second."""
    folder = tmp_path_factory.mktemp("inference") / "online"
    return export(make_model(shift_mode="online"), folder, formats=("pdmodel", "onnx"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 16 frames per second."""
    path = tmp_path_factory.mktemp("videos") / "long clip.avi"
    return write_video(path, random_frames(64), fps=16)


def run(online_dir: Path, *words: object) -> int:
    return stream_command.main(["--model_dir", str(online_dir), *map(str, words)])


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_file_gives_events_and_figures(
    online_dir: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, picture = tmp_path / "e.jsonl", tmp_path / "e.mp4"
    assert run(online_dir, "-i", video, "--output", out, "--save_video", picture, *ALWAYS) == 0
    printed = capsys.readouterr()
    events = lines(out)
    assert events
    assert [json.loads(line) for line in printed.out.splitlines()] == events
    assert {event["label"] for event in events} <= set(LABELS)
    assert events[0]["start"] == 0.0
    assert events[-1]["end"] == pytest.approx(4.0), "the end of the last frame"
    assert "8 frames per second" in printed.err
    assert "64 frames, 0 dropped; 32 seen by the network" in printed.err
    assert "p95" in printed.err
    capture = cv2.VideoCapture(str(picture))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 64


def test_rate_smoothing_and_silence_can_be_chosen(
    online_dir: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-i", video, "--fps", 16, "--smooth", 1, "--silent", *LABELS]
    assert run(online_dir, *words, *ALWAYS) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "64 seen by the network; 0 events" in printed.err


def test_a_cut_file_is_told_and_its_events_are_kept(
    online_dir: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.avi"
    path.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    out = tmp_path / "e.csv"
    assert run(online_dir, "-i", path, "--output", out, *ALWAYS) == 1
    assert "truncated video: its header says 64 frames" in capsys.readouterr().err
    assert len(out.read_text().splitlines()) > 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-i", "missing.avi"], "does not exist"),
        (["-i", "{video}", "--output", "e.txt"], ".jsonl"),
        (["-i", "{video}", "--fps", "0"], "--fps must be from"),
        (["-i", "{video}", "--fps", "1e9"], "--fps must be from 0.001 to 1000"),
        (["-i", "{video}", "--engine", "openvno"], "did you mean 'openvino'"),
        (["-i", "{video}", "--engine", "onnxruntime", "--device", "gpu"], "leave the device out"),
        (["-i", "{video}", "--threshold", "2"], "threshold"),
        (["-i", "{video}", "--silent", "jumb"], "did you mean 'jump'"),
        (["-i", "{video}", "--save_video", "e.avi"], ".mp4"),
        (["-i", "{video}", "--treshold", "0.5"], "did you mean '--threshold'"),
    ],
)
def test_wrong_input_is_refused(
    online_dir: Path,
    video: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = run(online_dir, *(word.format(video=video) for word in words))
    except SystemExit as err:
        code = err.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("e.*"))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "auto"])
def test_every_engine_finds_the_same_events(
    online_dir: Path, video: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime" if engine == "auto" else engine)
    found = []
    for name in ("paddle", engine):
        assert run(online_dir, "-i", video, "--engine", name, *ALWAYS) == 0
        printed = capsys.readouterr()
        found.append([json.loads(line) for line in printed.out.splitlines()])
    assert f"({'onnxruntime' if engine == 'auto' else engine})" in printed.err
    assert len(found[0]) == len(found[1]) > 0
    for one, other in zip(*found, strict=True):
        assert one.pop("score") == pytest.approx(other.pop("score"), abs=1e-3)
        assert one == other


def test_an_engine_without_a_file_of_the_model_is_told(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(make_model(shift_mode="online"), tmp_path / "m")
    assert run(folder, "-i", video, "--engine", "onnxruntime") == 2
    assert "export it again with --format pdmodel onnx" in capsys.readouterr().err
    assert run(folder, "-i", video, "--engine", "auto", "--max_seconds", "60") == 0
    assert "paddle" in capsys.readouterr().err


def test_a_model_of_unknown_rate_asks_for_it(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(make_model(shift_mode="online"), tmp_path / "m", facts=StreamFacts())
    assert run(folder, "-i", video) == 2
    assert "--fps" in capsys.readouterr().err
    assert run(folder, "-i", video, "--fps", 8) == 0


def test_without_a_model_folder_the_newest_streaming_one_is_taken(
    online_dir: Path,
    artefact_dir: Path,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "clips").symlink_to(artefact_dir)
    assert stream_command.main(["-i", str(video)]) == 2
    assert "no model under 'inference' takes single frames" in capsys.readouterr().err
    (tmp_path / "inference" / "frames").symlink_to(online_dir)
    assert stream_command.main(["-i", str(video)]) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_cleanly(
    online_dir: Path, video: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The open event is ended and written, the video can be played, the exit code tells why."""
    out, picture = tmp_path / "e.jsonl", tmp_path / "e.mp4"
    words = ["--model_dir", online_dir, "-i", video, "--realtime", "--output", out]
    words += ["--save_video", picture, *ALWAYS]
    process = subprocess.Popen(
        [sys.executable, str(REPO / "tools/predict_stream.py"), *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PADDLETSM_NUM_THREADS": "1"},
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and not (picture.exists() and picture.stat().st_size):
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    assert "frames" in err
    assert lines(out)[-1]["end"] > 0
    assert cv2.VideoCapture(str(picture)).get(cv2.CAP_PROP_FRAME_COUNT) > 0


def test_timeline_of_a_streaming_model(
    online_dir: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t"
    words = ["--model_dir", online_dir, "-i", video, "--timeline", out, "--engine", "auto", *ALWAYS]
    assert predict_command.main(list(map(str, words))) == 0
    assert lines(out / "long clip.jsonl")
    picture = cv2.imread(str(out / "long clip.png"))
    assert picture.shape[1] > picture.shape[0] > 100
    assert picture.std() > 5
    assert "written" in capsys.readouterr().out


def test_timeline_of_sliding_clips_equals_the_clips(
    artefact_dir: Path, model: Recognizer2D, video: Path, tmp_path: Path
) -> None:
    """Scores of the timeline are those of the clips at that time."""
    from paddletsm.data import open_video
    from paddletsm.deploy.stream.events import EventRules
    from paddletsm.deploy.stream.frames import FrameTransform
    from paddletsm.deploy.stream.smoothing import softmax
    from paddletsm.deploy.timeline import SlidingPredictor, make_timeline

    predictor = Predictor(artefact_dir, threads=1)
    timeline = make_timeline(
        str(video),
        lambda source: SlidingPredictor(predictor, clip_seconds=0.5, stride=2),
        predictor.labels,
        rules=EventRules(),
    )
    # 4 frames per half second: every second frame of 16 per second.
    transform = FrameTransform(predictor.artefact.pipeline)
    frames = transform.batch(list(open_video(str(video)).get(range(0, 64, 2))))
    ends = range(4, 33, 2)
    assert len(timeline.times) == len(ends)
    for row, end in enumerate(ends):
        expected = softmax(predictor.logits(frames[None, end - 4 : end])[0])
        np.testing.assert_allclose(timeline.scores[row], expected, atol=1e-5)
        # Half way between the middles of two clips; the outer ones reach the video's bounds.
        middle = (end - 2) / 8
        assert timeline.times[row] == pytest.approx(middle - 0.125 if row else 0.0, abs=1e-3)
        is_last = row == len(ends) - 1
        assert timeline.ends[row] == pytest.approx(4.0 if is_last else middle + 0.125, abs=1e-3)


@pytest.mark.parametrize(
    ("frames", "stride", "starts"),
    [
        (12, 2, [0, 3]),
        # What lies behind the last stride is in a clip of its own.
        (14, 2, [0, 3, 4.5]),
        # Strides longer than a clip, and a video shorter than one.
        (30, 9, [0, 6.5, 12]),
        (5, 1, [0]),
        (1, 1, [0]),
    ],
)
def test_clips_speak_for_the_whole_video(
    predictor: Predictor, tmp_path: Path, frames: int, stride: int, starts: list[float]
) -> None:
    """Clips of 4 frames; frames of the network (the second of each two) as unit of time."""
    from paddletsm.deploy.stream.events import EventRules
    from paddletsm.deploy.timeline import SlidingPredictor, make_timeline

    timeline = make_timeline(
        str(write_video(tmp_path / "a.avi", random_frames(frames), fps=16)),
        lambda source: SlidingPredictor(predictor, clip_seconds=0.5, stride=stride),
        predictor.labels,
        rules=EventRules(threshold=0.01, release=0.005),
    )
    end = frames / 16
    np.testing.assert_allclose(timeline.times, np.array(starts) / 8, atol=2e-3)
    np.testing.assert_allclose(timeline.ends, [*timeline.times[1:], end], atol=2e-3)
    assert timeline.summary.seconds == pytest.approx(end, abs=2e-3)
    assert timeline.events[0].start == 0.0
    assert timeline.events[-1].end == pytest.approx(end, abs=2e-3)
    assert all(event.end > event.start for event in timeline.events)


@pytest.mark.parametrize("numbers", [{"clip_seconds": 0}, {"clip_seconds": 1, "stride": 0}])
def test_clips_that_cannot_slide(predictor: Predictor, numbers: dict[str, int]) -> None:
    from paddletsm.deploy.timeline import SlidingPredictor

    with pytest.raises(ConfigError, match=f"{list(numbers)[-1]} must be"):
        SlidingPredictor(predictor, **numbers)


def test_timeline_of_a_video_shorter_than_a_clip(
    artefact_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = write_video(tmp_path / "short.avi", random_frames(8), fps=16)
    words = ["--model_dir", artefact_dir, "-i", short, "--timeline", tmp_path / "t"]
    assert predict_command.main([*map(str, words), "--clip_seconds", "2", *ALWAYS]) == 0
    assert len(lines(tmp_path / "t" / "short.jsonl")) == 1
    capsys.readouterr()


def test_timeline_options_are_checked(
    artefact_dir: Path,
    online_dir: Path,
    video: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = str(tmp_path / "t")
    cases = [
        (artefact_dir, ["--timeline", out], "give --clip_seconds"),
        (artefact_dir, ["--clip_seconds", "1"], "needs --timeline"),
        (artefact_dir, ["--timeline", out, "--smooth", "3"], "--clip_seconds"),
        (artefact_dir, ["--timeline", out, "--clip_seconds", "1e-9"], "its seconds must be from"),
        (online_dir, ["--timeline", out, "--clip_seconds", "1"], "single frames"),
        (online_dir, ["--timeline", out, "--precision", "int8"], "runs in fp32"),
        (online_dir, ["--timeline", out, "--use_tensorrt"], "--use_tensorrt"),
        (
            online_dir,
            ["--timeline", out, "--use_gpu", "--engine", "onnxruntime"],
            "not on 'gpu'; leave the device out",
        ),
        (online_dir, ["--timeline", out, "--engine", "opnvino"], "did you mean 'openvino'"),
        (online_dir, ["--timeline", out, "--fps", "1e9"], "--fps must be from"),
        (online_dir, ["--timeline", out, "--fps", "nan"], "--fps must be from"),
        (online_dir, ["--timeline", out, "--output", "a.csv"], "--output is for results of whole"),
        (online_dir, ["--timeline", out, "--resume"], "--resume is for results of whole clips"),
    ]
    for folder, words, message in cases:
        arguments = ["--model_dir", str(folder), "-i", str(video), *words]
        assert predict_command.main(arguments) == 2, words
        assert message in capsys.readouterr().err


def test_a_broken_video_does_not_stop_the_others(
    online_dir: Path, video: Path, broken_video: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t"
    words = ["--model_dir", online_dir, "-i", broken_video, video, "--timeline", out]
    assert predict_command.main(list(map(str, words))) == 1
    assert sorted(path.name for path in out.iterdir()) == ["long clip.jsonl", "long clip.png"]


def test_the_console_script_knows_the_command() -> None:
    assert COMMANDS["stream"][0] == "paddletsm.cli.stream"
