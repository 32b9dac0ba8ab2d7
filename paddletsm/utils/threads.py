# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""How many threads one process may use, and importing Paddle with that number.

Paddle computes with OMP_NUM_THREADS threads and sets it to 1 when it is not set before the import;
its launcher hands that 1 on to the processes it starts. Both leave cores idle.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings

logger = logging.getLogger(__name__)

THREADS_VARIABLE = "PADDLETSM_NUM_THREADS"


def usable_cores() -> int:
    """Cores this process may run on: its CPU affinity and, in a container, the CPU quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return cores


def threads_per_process() -> int:
    """Cores divided by the processes that the launcher started on this machine."""
    forced = os.environ.get(THREADS_VARIABLE, "")
    if forced.isdecimal() and int(forced) > 0:
        return int(forced)
    under_launcher = "PADDLE_LOCAL_SIZE" in os.environ or "PADDLE_TRAINERS_NUM" in os.environ
    stated = os.environ.get("OMP_NUM_THREADS", "")
    # Under the launcher a 1 is the launcher's own default, not the user's choice.
    if stated.isdecimal() and int(stated) > 0 and not (under_launcher and stated == "1"):
        return int(stated)
    local = os.environ.get("PADDLE_LOCAL_SIZE") or os.environ.get("PADDLE_TRAINERS_NUM") or "1"
    return max(1, usable_cores() // max(1, int(local)))


def most_threads() -> int:
    """More threads or processes than this are a slip: the machine would stand still."""
    return max(64, 4 * (os.cpu_count() or 1))


def import_paddle(threads: int | None = None) -> None:
    """Import Paddle with the right number of threads and without its start-up chatter.

    A no-op for the number of threads when Paddle is imported already.
    """
    if "paddle" in sys.modules:
        return
    count = threads or threads_per_process()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
    os.environ.setdefault("GLOG_minloglevel", "2")
    swallowed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stderr(swallowed):
        warnings.simplefilter("ignore")
        try:
            import paddle  # noqa: F401
        except ImportError as err:
            from paddletsm.errors import ConfigError

            raise ConfigError(
                f"PaddlePaddle cannot be imported ({err}); install it with "
                "pip install 'paddletsm[cpu]' or, with a CUDA GPU, 'paddletsm[gpu]'"
            ) from err
    warnings.filterwarnings("ignore", module=r"paddle\..*")
