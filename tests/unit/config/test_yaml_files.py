# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""YAML itself: files that are none, merge keys, and what tells pipelines apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddletsm.builders import load_config, pipeline_hash
from paddletsm.config.yaml_io import read_yaml
from paddletsm.errors import ConfigError

UCF = Path(__file__).resolve().parents[3] / "configs" / "tsm_ucf101.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\nb: x\x01y\n", r"bad\.yaml:2: not valid YAML: character #x01"),
        (b"a: 1\nx: &a [*a]\n", r"bad\.yaml:2: .*alias of itself"),
        (b"x: &a {b: {c: *a}}\n", r"bad\.yaml:1: .*alias of itself"),
        (b"a: " + b"[" * 5000, "not valid YAML"),
        (b"a: {b: 1, c: 2,\n b: 3}\n", r"bad\.yaml:2: the key 'a\.b' is stated twice"),
        (b"a: {<<: 3}\n", "not valid YAML"),
        (b"a: 2026-13-45\n", r"bad\.yaml:1: .*'2026-13-45' is no timestamp"),
        (b"a: !!int x\n", r"bad\.yaml:1: .*'x' is no int"),
        (b"a: !!python/object/apply:os.getpid []\n", "not valid YAML"),
        (b"? [1]\n: 2\n", "a key is a plain word"),
        (b"a: \xff\n", "cannot read"),
    ],
)
def test_wrong_file_is_one_line_with_its_place(tmp_path: Path, text: bytes, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=message) as info:
        read_yaml(file)
    assert "\n" not in str(info.value)


def test_aliases_of_aliases_end(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="aliases"):
        read_yaml(tmp_path / "bomb.yaml")


def test_own_keys_win_over_merged_ones(tmp_path: Path) -> None:
    file = tmp_path / "merge.yaml"
    file.write_text(
        "a: &a {x: 1, y: 2}\nb: &b\n  x: 3\n  <<: *a\nc: {<<: [*b, *a], z: 4}\nd: [*b, *b]\n"
    )
    document = read_yaml(file)
    b = {"x": 3, "y": 2}
    expected = {"a": {"x": 1, "y": 2}, "b": b, "c": {**b, "z": 4}, "d": [b, b]}
    assert document.values == expected
    assert document.origins[("b", "x")].endswith("merge.yaml:3")
    assert document.origins[("b", "y")].endswith("merge.yaml:1")
    assert document.values["d"][0] is not document.values["d"][1]


def test_pipeline_hash_tells_preprocessing_apart() -> None:
    base = pipeline_hash(load_config(UCF), "test")
    assert len(base) == 64
    assert base == pipeline_hash(load_config(UCF, ["epochs=3", "seed=4"]), "test")
    assert base == pipeline_hash(load_config(UCF), "valid")
    for override in (
        "PIPELINE.valid.transform.0.Scale.short_size=320",
        "PIPELINE.train.transform.2.Normalization.mean=[0.5, 0.5, 0.5]",
        "PIPELINE.valid.sample.twice=true",
    ):
        assert base != pipeline_hash(load_config(UCF, [override]), "test")
