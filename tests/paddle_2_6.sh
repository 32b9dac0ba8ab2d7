#!/usr/bin/env bash
# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
# An artefact written here, under Paddle 3, gives the same scores under Paddle 2.6.2, in an
# environment that this script builds. Usage: tests/paddle_2_6.sh ARTEFACT CLIP...
# PYTHON: of this environment (default .venv/bin/python); PYTHON_OLD: Python 3.10 to 3.12.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
here=${PYTHON:-$repo/.venv/bin/python}
old=${PYTHON_OLD:-$(command -v python3.10 || command -v python3.11 || command -v python3.12)}
[ $# -ge 2 ] || { sed -n 4,6p "$0"; exit 2; }
model=$1; shift
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"$old" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  "$repo[cpu]" 'paddlepaddle==2.6.2' 'numpy<2'
number=0
for python in "$here" "$work/venv/bin/python"; do
  "$python" -c 'import paddle; print("Paddle", paddle.__version__)' 2>/dev/null
  "$python" "$repo/tools/predict.py" --model_dir "$model" --input_file "$@" \
    --output "$work/$((++number)).jsonl" >/dev/null
done
"$here" - "$work"/*.jsonl <<'PY'
import json
import sys

first, second = ([json.loads(line) for line in open(path)] for path in sys.argv[1:])
assert len(first) == len(second) > 0
worst = 0.0
for one, other in zip(first, second):
    assert one["error"] is None and other["error"] is None, (one, other)
    scores = {top["id"]: top["score"] for top in other["top"]}
    worst = max(worst, *(abs(top["score"] - scores[top["id"]]) for top in one["top"]))
print(f"{len(first)} clips, largest difference of scores {worst:.1e}")
sys.exit(worst > 1e-4)
PY
