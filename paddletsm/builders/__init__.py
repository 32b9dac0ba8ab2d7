# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""From a configuration to objects: the only place that unpacks a config into arguments."""

from paddletsm.builders.classes import class_names, resolve_classes
from paddletsm.builders.networks import build_model, check_model, model_arguments
from paddletsm.builders.pipelines import (
    build_data_pipeline,
    build_dataset,
    index_of,
    load_config,
    pipeline_hash,
    pipeline_spec,
    split_of,
)

__all__ = [
    "build_data_pipeline",
    "build_dataset",
    "build_model",
    "check_model",
    "class_names",
    "index_of",
    "load_config",
    "model_arguments",
    "pipeline_hash",
    "pipeline_spec",
    "resolve_classes",
    "split_of",
]
