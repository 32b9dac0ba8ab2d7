# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""paddletsm: action recognition with the Temporal Shift Module in PaddlePaddle.

Importing the package is light: Paddle, OpenCV and decord are imported when something needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from paddletsm.errors import ConfigError, DataError, ExportError, PaddleTSMError, WeightsError
from paddletsm.version import __version__

if TYPE_CHECKING:
    from paddletsm.builders import build_model, load_config
    from paddletsm.data.sampling import sample_dense, sample_segments
    from paddletsm.deploy.predictor import Prediction, Predictor
    from paddletsm.deploy.stream.predictor import StreamPredictor
    from paddletsm.models.shift import temporal_shift
    from paddletsm.models.streaming import to_streaming
    from paddletsm.models.weights import load_weights

_LAZY = {
    "Prediction": "paddletsm.deploy.predictor",
    "Predictor": "paddletsm.deploy.predictor",
    "StreamPredictor": "paddletsm.deploy.stream.predictor",
    "build_model": "paddletsm.builders",
    "load_config": "paddletsm.builders",
    "load_weights": "paddletsm.models.weights",
    "sample_dense": "paddletsm.data.sampling",
    "sample_segments": "paddletsm.data.sampling",
    "temporal_shift": "paddletsm.models.shift",
    "to_streaming": "paddletsm.models.streaming",
}

__all__ = [
    "ConfigError",
    "DataError",
    "ExportError",
    "PaddleTSMError",
    "Prediction",
    "Predictor",
    "StreamPredictor",
    "WeightsError",
    "__version__",
    "build_model",
    "load_config",
    "load_weights",
    "sample_dense",
    "sample_segments",
    "temporal_shift",
    "to_streaming",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'paddletsm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
