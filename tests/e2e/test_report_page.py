# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""report.html of a real run, looked at in a real browser (extra "browser": PySide6)."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import once
from tests.e2e.conftest import Command

Look = Callable[..., tuple[dict, np.ndarray]]

# Frame 1 of the first clip, then one key to the right, then the class table sorted by its last
# column but two; the values are returned as text.
USE = """(() => {
  const clip = document.querySelector(".clip"), button = clip.querySelector("button");
  const said = () => clip.querySelector("output").textContent, pixels = () =>
    clip.querySelector("canvas").toDataURL();
  const before = pixels(), values = [button.textContent, said()];
  button.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
  values.push(said(), pixels() !== before);
  button.click();
  values.push(button.textContent, said());
  if (button.textContent === "Pause") button.click();
  const heads = [...document.querySelectorAll(".sortable th[scope=col]")];
  const names = () => [...document.querySelectorAll(".sortable tbody th")].map(
    (cell) => cell.textContent).join();
  heads[0].querySelector("button").click();
  values.push(names(), heads[0].getAttribute("aria-sort"));
  heads[0].querySelector("button").click();
  values.push(names(), heads[0].getAttribute("aria-sort"));
  return JSON.stringify(values);
})()"""


@pytest.fixture(scope="module")
def report(
    config: Path, trained: Path, command: Command, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The page of the trained network, tested with its frames in all three orders."""

    def make(out: Path) -> None:
        shutil.copytree(trained, out / "TSM_bars")
        result = command(
            "main.py", "--test", "--motion_probe", "-c", config, "--output_dir", out,
            "--device", "cpu",
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        assert "the report is" in result.stderr + result.stdout

    return once(tmp_path_factory, "report", make) / "TSM_bars" / "report.html"


@pytest.fixture(scope="module")
def look() -> Look:
    """Open a page in the browser; returns what was seen and the picture [H, W, 3]."""
    if importlib.util.find_spec("PySide6") is None:
        pytest.skip("no browser: PySide6 is not installed (pip install 'paddletsm[browser]')")
    script = Path(__file__).with_name("browser.py")

    def run(page: Path, picture: Path, *options: object) -> tuple[dict, np.ndarray]:
        import cv2

        result = subprocess.run(
            [sys.executable, str(script), str(page), str(picture), *map(str, options)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        for line in result.stderr.splitlines():  # a system library of Qt is missing
            if line.startswith("ImportError") or "Could not load the Qt platform plugin" in line:
                pytest.skip(f"the browser does not start: {line}")
        assert result.returncode == 0, result.stderr[-2000:]
        return json.loads(result.stdout), cv2.imread(str(picture))

    return run


def test_the_page_holds_every_part(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    for key in ("training", "probe", "classes", "confusion", "clips", "tests", "environment"):
        assert f'id="{key}"' in text, key
    assert text.count('class="card clip"') >= 1
    assert "data:image/jpeg;base64," in text
    assert "python main.py" in text or "main.py -c" in text  # the command of the training


@pytest.mark.parametrize(
    ("width", "options"),
    [(1100, []), (1100, ["--dark"]), (360, []), (360, ["--dark"])],
    ids=["light", "dark", "phone", "dark phone"],
)
def test_it_opens_without_network_errors_or_overflow(
    report: Path, look: Look, tmp_path: Path, width: int, options: list[str]
) -> None:
    seen, picture = look(report, tmp_path / "page.png", "--width", width, *options)
    assert seen["loaded"]
    assert seen["requests"] == [report.resolve().as_uri()]
    assert seen["console"] == []
    assert seen["content_width"] <= seen["width"] == width
    assert seen["dark"] is ("--dark" in options)
    assert picture.shape[1] == width
    background = np.median(picture.reshape(-1, 3), axis=0).mean()
    assert background < 60 if "--dark" in options else background > 200
    for part in np.array_split(picture[: seen["content_height"]], 4):  # drawn to its end
        assert part.std() > 5


def test_clips_play_and_tables_sort(report: Path, look: Look, tmp_path: Path) -> None:
    seen, _ = look(report, tmp_path / "page.png", "--eval", USE)
    assert json.loads(seen["value"]) == [
        "Play", "1 / 4", "2 / 4", True, "Pause", "2 / 4",
        "left,right", "ascending", "right,left", "descending",
    ]  # fmt: skip
    assert seen["console"] == []


def test_reduced_motion_steps_instead_of_playing(report: Path, look: Look, tmp_path: Path) -> None:
    seen, _ = look(report, tmp_path / "page.png", "--reduced_motion", "--eval", USE)
    assert json.loads(seen["value"])[:6] == ["Next", "1 / 4", "2 / 4", True, "Next", "3 / 4"]
