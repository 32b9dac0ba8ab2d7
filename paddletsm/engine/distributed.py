# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Several processes as one: the only place that knows paddle.distributed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
import paddle.distributed as dist
from paddle import nn

from paddletsm.errors import ConfigError


@dataclass(frozen=True)
class World:
    """This process among all that train together."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0


def select_device(device: str | None) -> str:
    """Choose where to compute: the given device, or a GPU where Paddle sees one, else the CPU.

    Raises:
        ConfigError: this build of Paddle, or this machine, does not have the device.
    """
    has_gpu = paddle.device.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    name = device or ("gpu" if has_gpu else "cpu")
    if name.startswith("gpu") and not has_gpu:
        reason = (
            "no GPU is visible"
            if paddle.device.is_compiled_with_cuda()
            else "this PaddlePaddle is a CPU build; install paddlepaddle-gpu"
        )
        raise ConfigError(f"--device {name}: {reason}, or use --device cpu")
    try:
        paddle.set_device(name)
    except (ValueError, RuntimeError, OSError) as err:
        raise ConfigError(f"--device {name}: {err}") from err
    return name


def join_world() -> World:
    """Connect to the other processes that paddle.distributed.launch started, if any."""
    size = int(os.environ.get("PADDLE_TRAINERS_NUM", "1") or 1)
    if size == 1:
        return World()
    if not dist.is_initialized():  # a test may follow another
        dist.init_parallel_env()
    return World(dist.get_rank(), dist.get_world_size())


def wrap(model: nn.Layer, world: World) -> nn.Layer:
    """Average gradients over processes during backward; weights start as those of process 0."""
    return paddle.DataParallel(model) if world.size > 1 else model


def sum_over_processes(values: np.ndarray, world: World) -> np.ndarray:
    """Sum an array of numbers over all processes."""
    if world.size == 1:
        return values
    tensor = paddle.to_tensor(values.astype(np.float64))
    dist.all_reduce(tensor)
    return tensor.numpy()


def gather(item: Any, world: World) -> list[Any]:
    """Collect one object of every process, in the order of their ranks, on all of them."""
    if world.size == 1:
        return [item]
    items: list[Any] = []
    dist.all_gather_object(items, item)
    return items


def without_exchange(network: nn.Layer) -> contextlib.AbstractContextManager[None]:
    """While entered, a backward pass adds to the gradients of this process alone."""
    is_wrapped = isinstance(network, paddle.DataParallel)
    return network.no_sync() if is_wrapped else contextlib.nullcontext()


def average_over_processes(tensors: Iterable[paddle.Tensor], world: World) -> None:
    """Replace tensors by their means over the processes, each of which has its own values."""
    if world.size == 1:
        return
    for tensor in tensors:
        total = tensor.clone()
        dist.all_reduce(total)
        tensor.set_value(total / world.size)


def lost_process(error: RuntimeError) -> str | None:
    """Name the process whose end made an exchange fail; None for any other error."""
    text = str(error)
    if not re.search(r"gloo|nccl|bkcl|hccl|TCPStore", text, re.IGNORECASE):
        return None
    found = re.search(r"pair_rank = (\d+)", text)
    return f"process {found[1]}" if found else "another process"


def wait_for_all(world: World) -> None:
    """Return when every process has come here."""
    if world.size > 1:
        dist.barrier()


def leave_world(world: World) -> None:
    """Close the connections."""
    if world.size > 1:
        with contextlib.suppress(RuntimeError, ValueError):
            dist.destroy_process_group()
