# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A stream of frames to a list of events; importing this package imports neither Paddle nor OpenCV.

source -> resampler (by time) -> StreamPredictor -> EventDetector -> writer
"""

from __future__ import annotations
