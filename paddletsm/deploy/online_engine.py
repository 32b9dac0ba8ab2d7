# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Paddle Inference for a streaming network: a frame and a state in, logits and a state out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddletsm.deploy.engine import PaddleEngine


class OnlineEngine(PaddleEngine):
    """A ``PaddleEngine`` with several inputs, ``frame``, ``state_0``, ..., and several outputs.

    It holds no state itself, so one engine serves any number of streams.
    """

    @property
    def output_names(self) -> list[str]:
        """Names that Paddle gave the logits and the states, in the order of the inputs."""
        return list(self._predictor.get_output_names())

    def step(
        self, frames: np.ndarray, state: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Run one frame of each of N streams.

        Args:
            frames: [N, 3, H, W] float32, normalised.
            state: per shift [N, C // shift_div, h, w] float32: of the frames before, or zeros.

        Returns:
            Logits [N, K] float32 of these frames, and the new state.

        Raises:
            ExportError: Paddle cannot run the network on this input.
        """
        logits, *new_state = self.run((frames, *state))
        return logits, new_state

    def _run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        names = ["frame", *(f"state_{index}" for index in range(len(inputs) - 1))]
        for name, value in zip(names, inputs, strict=True):
            source = self._predictor.get_input_handle(name)
            source.reshape(list(value.shape))
            source.copy_from_cpu(np.ascontiguousarray(value, dtype=np.float32))
        self._predictor.run()
        outputs = map(self._predictor.get_output_handle, self._predictor.get_output_names())
        return [target.copy_to_cpu() for target in outputs]
