# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What the documents tell users to type exists: scripts, options, configs, links, YAML."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

from paddletsm.builders import load_config

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
SCRIPTS = {
    "main.py": "train",
    "tools/export_model.py": "export",
    "tools/predict.py": "predict",
    "tools/predict_stream.py": "stream",
    "tools/verify.py": "verify",
    "tools/convert_weights.py": "convert",
    "tools/prepare_data.py": "prepare",
    "tools/benchmark.py": "benchmark",
    "tools/report.py": "report",
    "tools/check_data.py": "check",
    "tools/fuse_scores.py": "fuse",
}
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def commands() -> list[tuple[Path, str]]:
    found = []
    for document in DOCUMENTS:
        for language, text in BLOCK.findall(document.read_text(encoding="utf-8")):
            if language in ("bash", "sh"):
                found += [(document, line) for line in text.splitlines() if "python " in line]
    return found


@pytest.mark.parametrize(
    ("document", "line"), commands(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_commands_can_be_typed(document: Path, line: str) -> None:
    words = shlex.split(line, comments=True)
    script = next((index for index, word in enumerate(words) if word in SCRIPTS), None)
    if script is None:
        assert "-m" in words, line  # python -m venv, python -m paddle.distributed.launch
        return
    assert (ROOT / words[script]).is_file()
    module = importlib.import_module(f"paddletsm.cli.{SCRIPTS[words[script]]}")
    options = words[script + 1 :]
    if "--suggest" in options:
        options.remove("--suggest")
        module = importlib.import_module("paddletsm.cli.suggest")
    which = [options.pop(0)] if module.__name__.endswith("prepare") else []
    build = module.build_parser
    if options and options[0] in getattr(module, "_COMMANDS", ()):  # benchmark data, ...
        build, which = module._parser_of, [options.pop(0)]
    try:
        args = build(*which).parse_args(options)
    except SystemExit:
        pytest.fail(f"{document.name}: {line}")
    config = getattr(args, "config", None)
    config = config[0] if isinstance(config, list) else config
    if isinstance(args, argparse.Namespace) and config and config.startswith("configs/"):
        assert (ROOT / config).is_file() or "my_clips" in config, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("name", ["README.md", "README_zh.md"])
def test_the_readme_config_loads(name: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))
    texts = [text for language, text in blocks if language == "yaml" and "_base_" in text]
    assert texts
    for text in texts:
        values = yaml.safe_load(text)
        values["_base_"] = str(ROOT / "configs" / values["_base_"])
        path = tmp_path / "my_clips.yaml"
        path.write_text(yaml.safe_dump(values))
        load_config(path)


def test_nothing_is_left_to_fill_in() -> None:
    for document in DOCUMENTS:
        assert "@@" not in document.read_text(encoding="utf-8"), document
