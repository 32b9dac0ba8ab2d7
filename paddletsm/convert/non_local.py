# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Non-local blocks of the PyTorch projects: names, 1x1x1 kernels, a bias that BN makes redundant.

    MMAction2                                   mit-han-lab TSM        here
    layer2.0.non_local_block.g.0.conv.weight    layer2.0.nl.g.0.weight  layer2.0.non_local.g.weight
    ....theta.conv.weight                       ....theta.weight        ....theta.weight
    ....phi.0.conv.weight                       ....phi.0.weight        ....phi.weight
    ....conv_out.conv.weight                    ....W.0.weight          ....out.weight
    ....conv_out.bn.weight                      ....W.1.weight          ....norm.weight

The ".0" behind g and phi is there because a max pool follows; without it the network would be
another one, and the name is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from paddletsm.convert.names import paddle_bn

_MMACTION2 = re.compile(
    r"(?P<block>layer\d+\.\d+)\.non_local_block\."
    r"(?:(?P<pooled>g|phi)\.0\.conv|(?P<plain>theta)\.conv|conv_out\.(?P<out>conv|bn))\.(?P<last>\w+)"
)
_MIT = re.compile(
    r"(?P<block>layer\d+\.\d+)\.nl\."
    r"(?:(?P<pooled>g|phi)\.0|(?P<plain>theta)|W\.(?P<out>[01]))\.(?P<last>\w+)"
)
_OUT = {"conv": "out", "bn": "norm", "0": "out", "1": "norm"}
_OUT_BIAS = ".non_local.out.bias"


def non_local_name(name: str) -> str | None:
    """Name of paddletsm for a tensor of a non-local block, both projects' names."""
    match = _MMACTION2.fullmatch(name) or _MIT.fullmatch(name)
    if match is None:
        return None
    unit = match["pooled"] or match["plain"] or _OUT[match["out"]]
    return paddle_bn(f"backbone.{match['block']}.non_local.{unit}.{match['last']}")


def settle_non_local(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bring the tensors of non-local blocks into this package's form; others stay.

    A 1x1x1 kernel [out, in, 1, 1, 1] over a clip becomes the 1x1 kernel over its frames. The
    authors' output convolution has a bias b in front of its BN; BN(y + b) with mean m is BN(y) with
    mean m - b.

    Args:
        state: name of paddletsm -> array.
    """
    settled = {}
    for name, value in state.items():
        if ".non_local." in name and value.ndim == 5 and value.shape[2] == 1:
            value = value[:, :, 0]
        settled[name] = value
    for name in [key for key in settled if key.endswith(_OUT_BIAS)]:
        mean = name.removesuffix(_OUT_BIAS) + ".non_local.norm._mean"
        if mean in settled and settled[mean].shape == settled[name].shape:
            settled[mean] = settled[mean] - settled.pop(name)
    return settled
