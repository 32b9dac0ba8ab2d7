# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Export a trained network as a self-contained folder, and predict with it.

Importing this package imports neither Paddle nor OpenCV.
"""

from __future__ import annotations

from paddletsm.deploy.artefact import Artefact, newest_artefact, read_artefact
from paddletsm.deploy.export import export_model
from paddletsm.deploy.predictor import Prediction, Predictor

__all__ = [
    "Artefact",
    "Prediction",
    "Predictor",
    "export_model",
    "newest_artefact",
    "read_artefact",
]
