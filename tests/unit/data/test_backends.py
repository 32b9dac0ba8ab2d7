# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Which decoder reads a video, and what happens where it cannot."""

from __future__ import annotations

import builtins
import importlib.util
import logging
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from paddletsm.data import (
    ClipDataset,
    ClipLoader,
    Sample,
    backends,
    build_pipeline,
    open_video,
)
from paddletsm.data.readers import READERS
from paddletsm.errors import ConfigError, DataError
from tests.conftest import REPO, random_frames, write_video

needs_both = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("av", "decord"))), reason="needs PyAV and decord"
)


def test_falls_back_to_opencv_and_says_so_once(
    mpeg4: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = open_video(mpeg4, "opencv").get([3])
    backends._decord.cache_clear()
    monkeypatch.setitem(sys.modules, "decord", None)  # import raises ImportError
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert np.array_equal(open_video(mpeg4, "decord").get([3]), expected)
        assert [record.getMessage() for record in caplog.records if "decord" in record.message] == [
            caplog.records[0].getMessage()
        ]
    finally:
        backends._decord.cache_clear()


@pytest.mark.parametrize("width", [8, 16, 48, 72, 64])
def test_pictures_of_other_channels_are_read_with_opencv(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, width: int
) -> None:
    """Of narrow videos decord hands out arrays with 4 to 12 channels of random memory."""
    pytest.importorskip("decord")
    path = write_video(tmp_path / "narrow.mp4", random_frames(10, 36, width), codec="mp4v")
    backends._fallback_said.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                reader, other = open_video(path, "decord"), open_video(path, "opencv")
                for numbers in ([2, 9], [4], range(10)):
                    assert np.array_equal(reader.get(numbers), other.get(numbers))
                assert reader.backend == ("decord" if width == 64 else "opencv")
                reader.close()
    finally:
        backends._fallback_said.cache_clear()
    assert len(caplog.records) == (width != 64)


@pytest.mark.parametrize("fails", ["open", "get"])
def test_decord_fails_alone(
    mpeg4: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    """What OpenCV can read is read."""
    decord = pytest.importorskip("decord")
    backends._fallback_said.cache_clear()

    class Broken(decord.VideoReader):
        def __init__(self, path: str, **kwargs: object) -> None:
            self._handle = None
            if fails == "open":
                raise RuntimeError("Error reading")
            super().__init__(path, **kwargs)

        def next(self) -> object:
            raise decord.DECORDError("lost")

    expected = open_video(mpeg4, "decord").get([1, 5])
    assert not backends._fallback_said()
    monkeypatch.setattr(decord, "VideoReader", Broken)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(open_video(mpeg4, "decord").get([1, 5]), expected)
    assert "decord fails on it; such files are read with OpenCV" in caplog.text
    backends._fallback_said.cache_clear()


@pytest.mark.parametrize(
    ("problem", "match"),
    [
        ("libGL.so.1: cannot open shared object file", "uninstall -y opencv-python .*headless"),
        ("No module named 'cv2'", "install opencv-python-headless"),
    ],
)
def test_opencv_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, problem: str, match: str
) -> None:
    original = builtins.__import__

    def fail(name: str, *args: object) -> ModuleType:
        if name == "cv2":
            raise ImportError(problem)
        return original(name, *args)

    backends.opencv.cache_clear()
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(DataError, match=match):
        backends.opencv()
    monkeypatch.undo()
    backends.opencv.cache_clear()


def test_pyav_keeps_away_from_decord(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", sys)
    with pytest.raises(DataError, match=r"imported decord already.*num_workers"):
        backends.pyav()
    monkeypatch.setitem(sys.modules, "av", sys)
    backends._warn_beside_pyav.cache_clear()
    assert backends.decord() is None  # videos are read with OpenCV


def test_pyav_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'paddletsm\[av\]'"):
        READERS.build("VideoDecoder", {"backend": "pyav"})


def test_other_decoder(tmp_path: Path) -> None:
    video, folder = tmp_path / "a.avi", tmp_path / "frames"
    video.touch()
    folder.mkdir()
    for backend, other in (("auto", "opencv"), ("decord", "opencv"), ("opencv", "decord")):
        for name in ("VideoDecoder", "FrameDecoder"):
            decoder = READERS.build(name, {"backend": backend})
            assert decoder.alternative(Sample(str(video), 0, 0)).backend == other
    assert decoder.alternative(Sample(str(folder), 0, 0)) is None


def test_decoders(frame_folder: Path, mjpg: Path) -> None:
    video = READERS.build("VideoDecoder", {"backend": "cv2"})
    assert len(video.open(Sample(str(mjpg), 0, 0))) == 16
    frames = READERS.build("FrameDecoder", {})
    assert len(frames.open(Sample(str(frame_folder), 0, 0, num_frames=4))) == 4
    assert len(frames.open(Sample(str(mjpg), 0, 0))) == 16  # a video for a model of frames
    for name, args, match in (
        ("VideoDecoder", {"backend": "decor"}, "did you mean 'decord'"),
        ("FrameDecoder", {"suffix": "img.jpg"}, "file pattern like"),
        ("FrameDecoder", {"suffix": "{}_{}.jpg"}, "file pattern like"),
        ("VideoDecode", {}, "did you mean 'VideoDecoder'"),
    ):
        with pytest.raises(ConfigError, match=match):
            READERS.build(name, args)


RULES = [  # installed, imported already, PyAV, Paddle, may mix, what "auto" is
    (("av", "decord"), (), "18.1", "", False, "pyav"),
    (("av",), (), "18.1", "", False, "pyav"),
    (("decord",), (), "18.1", "", False, "decord"),
    ((), (), "18.1", "", False, "opencv"),
    (("av", "decord"), ("av",), "18.1", "", False, "pyav"),
    (("av", "decord"), ("decord",), "18.1", "", False, "decord"),
    # A second FFmpeg comes in only by name, also where both may be: one is enough.
    (("av", "decord"), ("decord",), "18.1", "", True, "decord"),
    (("av", "decord"), ("av", "decord"), "18.1", "", True, "pyav"),
    (("av", "decord"), ("av", "decord"), "18.1", "", False, "opencv"),
    # Other versions of PyAV: where one is imported all the same, decord is not.
    (("av", "decord"), (), "16.1", "", False, "decord"),
    (("av", "decord"), (), "20.0", "", False, "decord"),
    (("av", "decord"), (), "0.0", "", False, "decord"),
    (("av", "decord"), ("av",), "16.1", "", False, "opencv"),
    # Behind Paddle 2 the import of PyAV can crash the process.
    (("av", "decord"), (), "18.1", "2.6.2", False, "decord"),
    (("av",), (), "18.1", "2.6.2", False, "opencv"),
    (("av", "decord"), ("av",), "18.1", "2.6.2", False, "pyav"),
    (("av", "decord"), (), "18.1", "3.3.1", False, "pyav"),
    (("av", "decord"), (), "18.1", "is being imported", False, "decord"),
]


@pytest.mark.parametrize(("installed", "imported", "pyav", "paddle", "may_mix", "expected"), RULES)
def test_what_auto_is(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    installed: tuple[str, ...],
    imported: tuple[str, ...],
    pyav: str,
    paddle: str,
    may_mix: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: sys.__spec__ if name in installed else None
    )
    version = tuple(map(int, pyav.split(".")))
    monkeypatch.setattr(backends, "_pyav_version", lambda: version)
    monkeypatch.setattr(backends, "_pyav_or_none", lambda: sys)
    monkeypatch.setenv(backends.MIX_VARIABLE, "1" if may_mix else "0")
    modules = {name: ModuleType(name) if name in imported else None for name in ("av", "decord")}
    modules["paddle"] = ModuleType("paddle") if paddle else None
    if paddle[:1].isdigit():
        modules["paddle"].__version__ = paddle
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert backends.automatic() == expected
    assert not caplog.records


def test_versions_are_those_of_the_extra(repo_dir: Path) -> None:
    (below,) = set(re.findall(r'"av>=[0-9.]+,<([0-9]+)"', (repo_dir / "setup.py").read_text()))
    assert backends.PYAV_VERSIONS[1] == (int(below), 0)


def test_a_folder_that_is_called_av_is_no_pyav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python takes any folder for a package."""
    (tmp_path / "av").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    backends._pyav_version.cache_clear()
    assert backends._pyav_version() == (0, 0)
    backends._pyav_version.cache_clear()


def run_python(code: str) -> str:
    """Run code in a process of its own; returns what it prints, on both streams."""
    start = "import sys\nfrom paddletsm.data import backends, open_video\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


READ = """
reader = open_video({path!r})
print(reader.backend, reader.get([1, 5]).sum(), *sorted({{"av", "decord"}} & set(sys.modules)))
"""


@needs_both
@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", "pyav {} av"),
        ("import decord", "decord {} decord"),
        ("import av", "pyav {} av"),
        ("import av, decord", "opencv {} av decord"),
        ("sys.modules['av'] = None", "decord {} av decord"),  # as if it were not installed
        ("sys.modules['av'] = sys.modules['decord'] = None", "opencv {} av decord"),
    ],
)
def test_each_process_takes_what_it_can(mpeg4: Path, before: str, expected: str) -> None:
    """The same frames from all of them, and not a word about it."""
    frames = open_video(mpeg4, "opencv").get([1, 5])
    printed = run_python(before + READ.format(path=str(mpeg4)))
    assert printed == expected.format(frames.sum())


@needs_both
@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        ("r.PyAVReader.__init__ = fail", "pyav fails on it; such files are read with OpenCV"),
        ("r.PyAVReader._by_time = fail", "pyav fails on it; such files are read with OpenCV"),
        ("backends._pyav = fail", "PyAV is installed, but cannot be imported (lost): it is not"),
    ],
)
def test_pyav_fails_unasked(mpeg4: Path, breaks: str, says: str) -> None:
    """On a file, or at all: another one reads, and that is said once."""
    frames = open_video(mpeg4, "opencv").get([1, 5])
    code = (
        "import paddletsm.data.readers as r\ndef fail(*args): raise ValueError('lost')\n"
        f"{breaks}\nfor turn in 1, 2: print(open_video({str(mpeg4)!r}).get([1, 5]).sum())"
    )
    printed = run_python(code)
    assert printed.count(says) == 1, printed
    assert printed.count(str(frames.sum())) == 2, printed


def test_png_behind_decord(mpeg4: Path) -> None:
    """Its zlib once came in the way of OpenCV's."""
    pytest.importorskip("decord")
    assert run_python(
        f"open_video({str(mpeg4)!r}, 'decord').get([1])\nimport numpy as np, cv2\n"
        "image = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(8, 8, 3)\n"
        "data = cv2.imencode('.png', image)[1]\n"
        "print(np.array_equal(backends.decode_image(data)[..., ::-1], image))"
    ) == "True"  # fmt: skip


@pytest.mark.parametrize("stated", [{}, {"backend": "auto"}, {"backend": "decord"}])
@pytest.mark.parametrize("name", ["VideoDecoder", "FrameDecoder"])
def test_pipelines_of_all_times(mpeg4: Path, mjpg: Path, stated: dict[str, str], name: str) -> None:
    """What an ``inference.yml`` says of the decoder, or does not, reads the same clips."""
    spec = {
        "decode": {"name": name, **stated},
        "sample": {"name": "Sampler", "num_seg": 4, "valid_mode": True},
        "transform": [{"Normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}}],
    }
    pipeline = pickle.loads(pickle.dumps(build_pipeline(spec)))
    assert pipeline.decoder.backend == stated.get("backend", "auto")
    samples = [Sample(str(path), 0, row) for row, path in enumerate((mpeg4, mjpg))]
    dataset = ClipDataset(samples, pipeline)
    loader = ClipLoader(dataset, num_workers=1)
    try:
        (batch,) = loader.iterate([[0, 1]])
    finally:
        loader.close()
    assert not batch.failed
    spec["decode"]["backend"] = "opencv"
    expected = ClipDataset(samples, build_pipeline(spec))
    for row in (0, 1):
        assert np.array_equal(batch.clips[row], expected.load(row).frames)
