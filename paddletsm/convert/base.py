# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What every source of weights has in common: facts of a network, names, layouts.

    file -> read_state -> {name: array} -> Converter.rename -> {name of paddletsm: array}

Everything here is NumPy: neither Paddle nor PyTorch is needed to convert.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from paddletsm.convert.non_local import settle_non_local
from paddletsm.convert.streams import swap_folds
from paddletsm.errors import WeightsError
from paddletsm.registry import Registry

# Converters by name; the values are records, not classes.
CONVERTERS = Registry("source of weights")

ShiftPlace = Literal["blockres", "block"]
ShiftMode = Literal["offline", "online"]

# Counts training steps in PyTorch's BN; Paddle has no such buffer and inference does not need it.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class ModelInfo:
    """What decides how weights are used, though no tensor's shape shows it.

    Attributes:
        shifted: blocks whose input is shifted ("layer1.0"); empty for TSN.
        shift_place: "blockres" or "block"; None without shift.
        shift_div: 1/shift_div of the channels moves each way.
        shift_mode: "offline" or "online"; None without shift, or where nothing tells.
        temporal_pool: frames are halved in front of layer2.
        non_local: how non-local blocks compare; None without such blocks, or where nothing tells.
    """

    shifted: frozenset[str] = frozenset()
    shift_place: ShiftPlace | None = None
    shift_div: int = 8
    shift_mode: ShiftMode | None = None
    temporal_pool: bool = False
    non_local: str | None = None

    @property
    def is_shifted(self) -> bool:
        """Whether any block is shifted."""
        return bool(self.shifted)


@dataclass(frozen=True)
class Converted:
    """A state under paddletsm's names.

    Attributes:
        state: name -> array in Paddle's layout; names that no rule knows are kept as they were.
        left_out: names of the file that are known not to be needed.
        is_swapped: the two shift folds have been exchanged.
    """

    state: dict[str, np.ndarray]
    left_out: tuple[str, ...]
    is_swapped: bool


def _tells_nothing(names: Collection[str]) -> ModelInfo | None:
    return None


@dataclass(frozen=True)
class Converter:
    """One source of weights: its facts and its names.

    Attributes:
        title: what users call the source.
        matches: whether a file with these names comes from the source.
        name_of: name of paddletsm for a name of the source, None for one that it does not know.
        info: facts of the network that the names tell; None when they tell nothing.
        is_pretraining: its classifier belongs to another task (ImageNet) and is left out.
        is_torch_layout: linear weights are [out, in] and have to be transposed.
        fold_order: "future_first", the authors' order (the first fold takes the *next* frame),
            "past_first", Paddle's, or "own": this package's files and unshifted networks.
    """

    title: str
    matches: Callable[[Collection[str]], bool]
    name_of: Callable[[str], str | None]
    info: Callable[[Collection[str]], ModelInfo | None] = _tells_nothing
    is_pretraining: bool = False
    is_torch_layout: bool = False
    fold_order: Literal["future_first", "past_first", "own"] = "own"

    def rename(self, state: Mapping[str, np.ndarray], info: ModelInfo) -> Converted:
        """Rename, transpose, and put the channels into Paddle's shift order.

        Args:
            state: name -> array as the source stores them.
            info: facts of the network that the weights are for.

        Raises:
            WeightsError: two names of the file mean the same tensor.
        """
        renamed: dict[str, np.ndarray] = {}
        left_out: list[str] = []
        for name, value in state.items():
            if name.endswith(_COUNTER):
                left_out.append(name)
                continue
            own = self.name_of(name) or name
            if own in renamed:
                raise WeightsError(f"the file holds {own} twice (once as {name})")
            if self.is_pretraining and own.startswith("head."):
                left_out.append(name)
                continue
            is_transposed = self.is_torch_layout and own == "head.fc.weight" and value.ndim == 2
            renamed[own] = value.T if is_transposed else value
        renamed = settle_non_local(renamed)
        is_swapped = self.fold_order == "future_first" and info.is_shifted
        if is_swapped:
            renamed = swap_folds(renamed, info.shift_div)
        return Converted(renamed, tuple(left_out), is_swapped)


def info_from_wrappers(names: Collection[str]) -> ModelInfo:
    """Read from the wrappers in the names where the authors' code shifts (offline) and pools.

    "layer1.0.conv1.net.weight" (MMAction2: "conv1.conv.net") is shifted in the residual branch,
    "layer1.0.net.conv1.weight" as a whole block; "layer2.net.0" is pooled over time first.
    """
    shifted: set[str] = set()
    place: ShiftPlace | None = None
    for name in names:
        parts = re.sub(r"^.*?(?=layer\d)", "", name).replace(".block.", ".")
        match = re.match(r"(layer\d+)(?:\.net)?\.(\d+)\.(net\.)?(.*)", parts)
        if match and (match[3] or ".net." in match[4]):
            shifted.add(f"{match[1]}.{match[2]}")
            place = "block" if match[3] else "blockres"
    return ModelInfo(
        shifted=frozenset(shifted),
        shift_place=place,
        shift_mode="offline" if shifted else None,
        temporal_pool=any(".layer2.net." in f".{name}" for name in names),
    )
