# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the documented commands one after the other, on synthetic videos, on the CPU."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN, ARTEFACT = Path("output/TSM_motion_demo"), Path("inference/TSM_motion_demo")
CONFIG = "-c configs/tsm_motion_demo.yaml"
LAUNCH = "python -m paddle.distributed.launch --nproc_per_node 2 --log_level ERROR main.py"
CLIP = "data/motion/test/turn_clockwise/clip_00001.avi"
STEPS = {
    "Render the videos": "python tools/prepare_data.py motion",
    "Train on two processes": f"{LAUNCH} {CONFIG} --device cpu",
    "Test": f"python main.py --test {CONFIG} --device cpu",
    "Test with the frames of every clip shuffled": (
        f"python main.py --test {CONFIG} --device cpu --frame_order shuffled"
    ),
    "Export": f"python tools/export_model.py {CONFIG}",
    "Predict one clip": f"python tools/predict.py --input_file {CLIP} --model_dir {ARTEFACT}",
}


def run(title: str, command: str) -> None:
    """Show one command as a user would type it, run it, stop the demo when it fails."""
    print(f"\n=== {title}\n$ {command}", flush=True)
    words = [sys.executable if word == "python" else word for word in shlex.split(command)]
    code = subprocess.run(words, cwd=ROOT).returncode
    if code:
        sys.exit(f"demo: this command failed with exit code {code}")


def main() -> int:
    """Run all steps and say what came out."""
    start = time.monotonic()
    for title, command in STEPS.items():
        run(title, command)
    top1 = {
        folder: json.loads((ROOT / RUN / folder / "metrics.json").read_text())["top1"]
        for folder in ("test", "test_shuffled")
    }
    print(f"\n=== Done in {time.monotonic() - start:.0f} s (installation not counted)")
    print(
        f"top-1 of the test: {top1['test']:.1f} %, frames shuffled: {top1['test_shuffled']:.1f} %"
    )
    print(f"report:   {RUN / 'report.html'}")
    print(f"pictures: {RUN / 'curves.png'}, {RUN / 'test/confusion_matrix.png'}")
    print(f"numbers:  {RUN / 'test/metrics.json'}, {RUN / 'test/predictions.csv'}")
    print(f"artefact: {ARTEFACT}")
    print("next: README.md, section 'Your own clips'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
