# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The classes of a configuration: stated, read from a file, or found in the data."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from paddletsm.builders.networks import check_model
from paddletsm.builders.pipelines import index_of
from paddletsm.config import OVERRIDE, Config, with_value
from paddletsm.errors import ConfigError, DataError
from paddletsm.utils.io import nearest_file

logger = logging.getLogger(__name__)


def resolve_classes(config: Config) -> Config:
    """Fill in num_classes and class_names from the data where the configuration leaves them out.

    A data set folder names its classes; then a stated number must agree with it.

    Raises:
        ConfigError: nothing states the number of classes, two places disagree, or MODEL names
            what does not exist: that is checked first.
        DataError: the data, or the file of class names, is missing or malformed.
    """
    check_model(config)
    stated = config.MODEL.head.num_classes
    names = _stated_names(config)
    if names is None and Path(config.DATASET.train.file_path).is_dir():
        index = index_of(with_value(config, ("MODEL", "head", "num_classes"), None), "train")
        names = list(index.class_names or ()) or None
        source = f"the folder {config.DATASET.train.file_path} has"
    else:
        source = "DATASET.class_names has"
    if names is not None and stated is not None and stated != len(names) and _is_other_task(config):
        _warn_once(
            f"{config.place('MODEL', 'head', 'num_classes')}: the {len(names)} names in "
            f"{config.DATASET.class_names} are those of other classes; classes are shown by number"
        )
        return with_value(config, ("DATASET", "class_names"), None)
    if names is not None and stated is not None and stated != len(names):
        raise ConfigError(
            f"{config.place('MODEL', 'head', 'num_classes')}: {stated} contradicts the data: "
            f"{source} {len(names)} class names; leave num_classes out, or correct it"
        )
    if names is None and stated is None:
        index_of(config, "train")  # a missing file is the first thing to say
        raise ConfigError(
            "MODEL.head.num_classes: the key is missing, and the list file "
            f"{config.DATASET.train.file_path} does not tell the number of classes"
        )
    if stated is None:
        config = with_value(config, ("MODEL", "head", "num_classes"), len(names))
    if names is not None:
        config = with_value(config, ("DATASET", "class_names"), tuple(names))
    return config


def _stated_names(config: Config) -> list[str] | None:
    """Class names from DATASET.class_names: a list, or a file with one name per line."""
    stated = config.DATASET.class_names
    if stated is None:
        return None
    if not isinstance(stated, str):
        return list(stated)
    path = Path(stated)
    place = config.place("DATASET", "class_names")
    if path.exists() and not path.is_file():
        raise DataError(f"{place}: {path} is not a file; expected one class name per line")
    if not path.exists():
        # Names only make output readable; that there is no data is said elsewhere.
        if Path(config.DATASET.train.file_path).exists():
            has_folders = Path(config.DATASET.train.file_path).is_dir()
            instead = (
                "the class folders give the names" if has_folders else "classes are shown by number"
            )
            _warn_once(f"{place}: {path} does not exist{nearest_file(path)}; {instead}")
        return None
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"{place}: {path} cannot be read: {err}") from err
    while names and not names[-1]:
        names.pop()
    if not names or not all(names):
        raise DataError(f"{path}: expected one class name per line, found an empty line or file")
    return names


def _is_other_task(config: Config) -> bool:
    """Whether an override asks for another number of classes than a file of names has."""
    place = config.place("MODEL", "head", "num_classes")
    return place.startswith(OVERRIDE) and isinstance(config.DATASET.class_names, str)


@lru_cache(maxsize=32)
def _warn_once(message: str) -> None:
    logger.warning("%s", message)


def class_names(config: Config) -> list[str]:
    """Class names in label order; "class 3" where the configuration has no names."""
    config = resolve_classes(config)
    if isinstance(config.DATASET.class_names, tuple):
        return list(config.DATASET.class_names)
    return [f"class {label}" for label in range(config.MODEL.head.num_classes)]
