# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Momentum with the reference's parameter groups.

    parameter        learning rate   weight decay
    conv weight      1               1
    conv bias        2               0
    BN weight, bias  1               0
    fc weight        5               1              (without fc_lr_mult: 1, 1)
    fc bias          10              0              (without fc_lr_mult: 2, 0)

Source: mit-han-lab/temporal-shift-module (get_optim_policies), MMAction2
(TSMOptimWrapperConstructor).
"""

from __future__ import annotations

from dataclasses import dataclass

import paddle
from paddle import nn

from paddletsm.config.schema import Config
from paddletsm.engine.schedule import Schedule, cosine, piecewise
from paddletsm.models import Recognizer2D
from paddletsm.models.norm_policy import NORMS


@dataclass(frozen=True)
class Multipliers:
    """Factors of the learning rate and of the weight decay for one parameter."""

    rate: float
    decay: float


def parameter_multipliers(model: Recognizer2D, fc_lr_mult: bool = True) -> dict[str, Multipliers]:
    """Name the two factors of every trained parameter."""
    norm_names = {
        f"{name}.{suffix}"
        for name, layer in model.named_sublayers()
        if isinstance(layer, NORMS)
        for suffix in ("weight", "bias")
    }
    weight_rate, bias_rate = (5.0, 10.0) if fc_lr_mult else (1.0, 2.0)
    result = {}
    for name, parameter in model.named_parameters():
        if parameter.stop_gradient:
            continue
        if name in norm_names:
            result[name] = Multipliers(1.0, 0.0)
        elif name == "head.fc.weight":
            result[name] = Multipliers(weight_rate, 1.0)
        elif name == "head.fc.bias":
            result[name] = Multipliers(bias_rate, 0.0)
        elif name.endswith("bias"):
            result[name] = Multipliers(2.0, 0.0)
        else:
            result[name] = Multipliers(1.0, 1.0)
    return result


def build_optimizer(model: Recognizer2D, config: Config) -> paddle.optimizer.Momentum:
    """Momentum with the factors above, L2 decay and global-norm clipping as configured.

    The factors are attributes of the parameters: with parameter groups Paddle would clip the norm
    of every group on its own instead of the norm of all gradients.
    """
    options = config.OPTIMIZER
    decay = options.weight_decay.value if options.weight_decay else 0.0
    parameters = dict(model.named_parameters())
    factors = parameter_multipliers(model, options.fc_lr_mult)
    for name, factor in factors.items():
        parameters[name].optimize_attr["learning_rate"] = factor.rate
        parameters[name].regularizer = paddle.regularizer.L2Decay(decay * factor.decay)
    return paddle.optimizer.Momentum(
        learning_rate=0.0,  # set before every step, from the schedule
        momentum=options.momentum,
        use_nesterov=options.use_nesterov,
        parameters=[parameters[name] for name in factors],
        grad_clip=nn.ClipGradByGlobalNorm(options.grad_clip.value) if options.grad_clip else None,
    )


def build_schedule(config: Config, steps_per_epoch: int, total_batch: int) -> Schedule:
    """Learning rate schedule, scaled linearly when the config states the batch it was set for."""
    rate = config.OPTIMIZER.learning_rate
    if rate.name == "PiecewiseDecay":
        curve = piecewise(rate.boundaries, rate.values)
    else:
        curve = cosine(rate.base, rate.final or 0.0, config.epochs)
    is_scaled = rate.total_batch_size and rate.linear_scaling
    scale = total_batch / rate.total_batch_size if is_scaled else 1.0
    return Schedule(curve, steps_per_epoch, rate.warmup_epochs, rate.warmup_start, scale)
