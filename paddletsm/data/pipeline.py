# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""One sample from file to normalised clip: decoder, sampler, transforms, from a plain dict."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from paddletsm.data.readers import READERS, Reader
from paddletsm.data.sampling import SAMPLERS
from paddletsm.data.transforms import (
    TRANSFORMS,
    Image2Array,
    Normalization,
    RandomFlip,
    Transform,
)
from paddletsm.data.types import Clip, Sample
from paddletsm.errors import ConfigError, DataError
from paddletsm.registry import Registry
from paddletsm.utils.text import listing, nearest

_SECTIONS = ("decode", "sample", "transform")


# Asked with shape and dtype of a clip: an array to put it into, or None.
Destination = Callable[[tuple[int, ...], np.dtype], "np.ndarray | None"]


class DecoderLike(Protocol):
    """What READERS hold: opens the video of a sample.

    It may have a method ``alternative(sample)``: what to read the sample with, or None, when
    this one hangs or crashes.
    """

    def open(self, sample: Sample) -> Reader:
        """Return a reader; DataError when the sample cannot be read."""


class SamplerLike(Protocol):
    """What SAMPLERS hold: ``(num_frames, rng) -> int64 [num_clips*num_seg]`` frame indices."""

    num_seg: int
    num_clips: int
    valid_mode: bool

    def __call__(self, num_frames: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return the frame indices of all clips, one clip after the other."""


class Pipeline:
    """Reads, samples and transforms one sample at a time. Can be pickled.

    Args:
        decoder: opens a sample.
        sampler: chooses frames.
        transforms: applied in order; the last is Normalization.
        where: key path for messages.

    Attributes:
        num_seg: segments T of a clip.
        num_clips: clips that the sampler takes from a video.
        num_crops: crops of each clip; views V = num_clips * num_crops.
        target_size: height and width of the result, None when they depend on the video.
        normalization: the transform that ends the pipeline.

    Raises:
        ConfigError: the parts do not fit together.
    """

    def __init__(
        self,
        decoder: DecoderLike,
        sampler: SamplerLike,
        transforms: Sequence[Transform],
        *,
        where: str = "PIPELINE",
    ) -> None:
        self.decoder = decoder
        self.sampler = sampler
        self.transforms = tuple(transforms)
        self.where = where
        self.num_seg = sampler.num_seg
        self.num_clips = sampler.num_clips
        self.num_crops = 1
        self.target_size: int | None = None
        for transform in self.transforms:
            self.num_crops *= transform.num_crops
            self.target_size = transform.output_size(self.target_size)
        self.check()
        self.normalization = next(t for t in self.transforms if isinstance(t, Normalization))

    def check(self) -> None:
        """Check the order of the transforms, and that nothing is drawn where ``valid_mode`` is on.

        Raises:
            ConfigError: Normalization is missing, repeated or not last; a random transform
                beside ``valid_mode: true``.
        """
        where = f"{self.where}.transform"
        names = [type(transform).__name__ for transform in self.transforms]
        active = [t for t in self.transforms if not isinstance(t, Image2Array)]
        if not active or not isinstance(active[-1], Normalization):
            raise ConfigError(
                f"{where}: Normalization must be the last transform (found: "
                f"{listing(names) or 'none'})"
            )
        if sum(isinstance(transform, Normalization) for transform in active) > 1:
            raise ConfigError(f"{where}: Normalization must stand once, at the end")
        drawn = [t for t, transform in enumerate(self.transforms) if transform.is_random]
        if self.sampler.valid_mode and drawn:
            raise ConfigError(
                f"{where}[{drawn[0]}]: {names[drawn[0]]} is random, but the sampler has "
                "valid_mode: true; take it out, or set valid_mode: false (training)"
            )

    def check_classes(self, num_classes: int | None) -> None:
        """Check that flips name no class which the network does not have.

        Raises:
            ConfigError: they do; the data set's number of classes is ``num_classes``.
        """
        for index, transform in enumerate(self.transforms):
            named = transform.labels if isinstance(transform, RandomFlip) else ()
            if num_classes is not None and max(named, default=-1) >= num_classes:
                raise ConfigError(
                    f"{self.where}.transform[{index}]: RandomFlip: class {max(named)} does not "
                    f"exist, there are {num_classes} (0 to {num_classes - 1}); is its label_map or "
                    "no_flip that of another data set?"
                )

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Clip:
        """Return the clip [V,T,3,H,W] of a sample; see ``run``."""
        return self.run(sample, rng)[0]

    def alternative(self, sample: Sample) -> Pipeline | None:
        """Return the pipeline with another decoder for the sample, or None where it has none."""
        find = getattr(self.decoder, "alternative", None)
        decoder = find(sample) if find else None
        if decoder is None:
            return None
        other = copy.copy(self)
        other.decoder = decoder
        return other

    def run(
        self, sample: Sample, rng: np.random.Generator | None = None
    ) -> tuple[Clip, dict[str, float]]:
        """Return the clip of a sample and the milliseconds of each stage.

        Args:
            sample: what to read.
            rng: generator of the sample's random draws; may be None in a ``valid_mode`` pipeline.

        Returns: the clip, frames float32 [V,T,3,H,W] contiguous (uint8 where Normalization is
            ``on_device``), and ``{"open_ms", "decode_ms", "transform_ms"}``.

        Raises:
            DataError: the sample cannot be read, or its frames do not fit the transforms; the
                message names the path.
        """
        clip, times = self.run_into(sample, rng)
        return clip, {
            "open_ms": times["open"],
            "decode_ms": times["seek"] + times["decode"],
            "transform_ms": times["transform"] + times["normalize"],
        }

    def run_into(
        self,
        sample: Sample,
        rng: np.random.Generator | None = None,
        destination: Destination | None = None,
    ) -> tuple[Clip, dict[str, float]]:
        """Do as ``run`` does; put the clip, if possible, into memory that is offered.

        Args:
            sample: what to read.
            rng: generator of the sample's random draws.
            destination: offers memory for the clip.

        Returns: the clip, and the milliseconds of "open", "seek" (getting to the frames: decoding
            what lies before them, reading files), "decode" (their pixels), "transform" and
            "normalize".

        Raises:
            DataError: see ``run``.
        """
        start = time.perf_counter()
        reader = self.decoder.open(sample)
        try:
            opened = time.perf_counter()
            indices = self.sampler(len(reader), rng)
            frames = reader.get(indices)
            seek = reader.seek_ms
        finally:
            reader.close()
        decoded = time.perf_counter()
        shape = (self.num_clips, self.num_seg)
        clip = Clip(
            frames.reshape(*shape, *frames.shape[1:]),
            sample.label,
            sample.id,
            indices.reshape(shape),
            sample.others,
        )
        try:
            for transform in self.transforms:
                if transform is not self.normalization:
                    clip = transform(clip, rng)
        except DataError as err:
            raise DataError(f"{sample.path}: {err}") from err
        transformed = time.perf_counter()
        clip = replace(clip, frames=self.normalization.write(clip.frames, destination))
        done = time.perf_counter()
        return clip, {
            "open": 1e3 * (opened - start),
            "seek": seek,
            "decode": 1e3 * (decoded - opened) - seek,
            "transform": 1e3 * (transformed - decoded),
            "normalize": 1e3 * (done - transformed),
        }


def build_pipeline(spec: Mapping[str, Any], *, where: str = "PIPELINE.test") -> Pipeline:
    """Build a pipeline from the plain data of a configuration or an artefact.

    Args:
        spec: ``{"decode": {"name": "VideoDecoder", ...}, "sample": {"name": "Sampler",
            "num_seg": 8, ...}, "transform": [{"Scale": {"short_size": 256}}, ...]}``. A transform
            without arguments may be given as ``{"RandomFlip": None}`` or ``"RandomFlip"``.
        where: key path for messages.

    Raises:
        ConfigError: unknown section, component or argument, or parts that do not fit together.
    """
    if not isinstance(spec, Mapping):
        raise ConfigError(f"{where}: must be a mapping with the keys {listing(_SECTIONS)}")
    for key in spec:
        if key not in _SECTIONS:
            raise ConfigError(
                f"{where}: unknown key {key!r}{nearest(str(key), _SECTIONS)} "
                f"(known: {listing(_SECTIONS)})"
            )
    missing = [key for key in _SECTIONS if spec.get(key) is None]
    if missing:
        raise ConfigError(f"{where}: the key {missing[0]!r} is missing")
    return Pipeline(
        _component(READERS, spec["decode"], f"{where}.decode"),
        _component(SAMPLERS, spec["sample"], f"{where}.sample"),
        _transforms(spec["transform"], f"{where}.transform"),
        where=where,
    )


def _component(registry: Registry, item: Any, where: str) -> Any:
    """Build from ``{"name": ..., argument: value}``."""
    if not isinstance(item, Mapping) or "name" not in item:
        raise ConfigError(f"{where}: must be a mapping with the key 'name', not {item!r}")
    args = {key: value for key, value in item.items() if key != "name"}
    return _build(registry, item["name"], args, where)


def _transforms(items: Any, where: str) -> list[Transform]:
    if isinstance(items, (str, Mapping)) or not isinstance(items, Sequence):
        raise ConfigError(f"{where}: must be a list of transforms, not {items!r}")
    built = []
    for i, item in enumerate(items):
        place = f"{where}[{i}]"
        if isinstance(item, str):
            item = {item: None}
        if not isinstance(item, Mapping) or len(item) != 1:
            raise ConfigError(f"{place}: must be one transform 'Name: {{arguments}}', not {item!r}")
        ((name, args),) = item.items()
        if args is not None and not isinstance(args, Mapping):
            raise ConfigError(f"{place}.{name}: arguments must be a mapping, not {args!r}")
        built.append(_build(TRANSFORMS, name, args or {}, place))
    return built


def _build(registry: Registry, name: Any, args: Mapping[str, Any], where: str) -> Any:
    make: Callable[..., Any] = registry.build
    return make(name, args, where=where)
