# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""One loader worker: a light process that reads samples, and the parent's end of it.

The process is a fresh interpreter, not a fork (threads of the parent do not survive one) and not
``multiprocessing`` (which runs the parent's main module again, and with it imports Paddle). It
talks over its standard input and output, so its end, or its parent's, is an end of file.

    parent                                   child
    setup: pickled data set            ->    READY or ERROR
    request: pickled Request           ->    CLIP (shape, dtype, labels) + frames, FAILED or ERROR

The frames of a clip follow through the pipe unless they lie where the request has offered a place.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

import numpy as np

from paddletsm.data import backends
from paddletsm.data.datasets import ClipDataset
from paddletsm.data.shared import Place, WorkerSlots
from paddletsm.data.types import Sample
from paddletsm.errors import DataError

READY, CLIP, FAILED, ERROR = range(4)

_LENGTH = struct.Struct("<Q")
_REPLY = struct.Struct("<BI")  # kind, bytes of JSON behind it; a clip's frames follow
_PIPE_BYTES = 1 << 20

# The parent's import path replaces the child's: it has what made this package importable.
_BOOTSTRAP = "import sys; sys.path[:] = sys.argv[1:]; import paddletsm.data.workers as w; w.main()"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Request:
    """What a worker is asked for.

    Attributes:
        sample: what to read.
        epoch: of the random draws.
        place: where the clip may go.
        is_retry: read it by another decoder, because the usual one hangs or crashes on it.
    """

    sample: Sample
    epoch: int
    place: Place | None = None
    is_retry: bool = False


class WorkerDiedError(Exception):
    """The process ended in the middle of a request."""


class WorkerProcess:
    """The parent's end of a worker. One request at a time; ``kill`` may come from any thread.

    Args:
        setup: the data set, pickled.
        handles: file descriptors of the shared memories, which the process inherits.
    """

    def __init__(self, setup: bytes, handles: Sequence[int] = ()) -> None:
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOTSTRAP, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=_PIPE_BYTES,
            pass_fds=tuple(handles),
            env={**os.environ, **_ONE_THREAD},
            # Out of the terminal's process group: Ctrl-C is the parent's business alone.
            start_new_session=True,
            creationflags=flags,
        )
        self._setup = pickle.dumps((setup, tuple(handles)))

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone already."""
        return self._process.poll() is not None

    def wait_ready(self) -> tuple[int, dict[str, Any]]:
        """Send the setup and return the child's first reply (READY or ERROR).

        Raises:
            WorkerDiedError: it ended before.
        """
        self._send(self._setup)
        self._setup = b""
        return self._receive()

    def ask(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Send a request and return (kind, details) of the reply.

        Behind a CLIP that is not "placed" (its details hold the shape) ``read_frames`` must follow.

        Raises:
            WorkerDiedError: the process ended, or was killed.
        """
        self._send(pickle.dumps(request))
        return self._receive()

    def read_frames(self, out: np.ndarray) -> None:
        """Read a clip straight into ``out``, contiguous, of its shape and dtype.

        Raises:
            WorkerDiedError: the process ended, or was killed.
        """
        self._read_into(memoryview(out).cast("B"))

    def kill(self) -> None:
        """End the process now; a thread that waits for it gets a WorkerDiedError."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def release(self) -> str:
        """Collect a process that ended or was killed; return how it ended, in words."""
        self.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        if code >= 0:
            return f"exit code {code}"
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"

    def _send(self, data: bytes) -> None:
        try:
            _write_all(self._process.stdin, _LENGTH.pack(len(data)) + data)
        except OSError as err:
            raise WorkerDiedError from err

    def _receive(self) -> tuple[int, dict[str, Any]]:
        head = bytearray(_REPLY.size)
        self._read_into(memoryview(head))
        kind, length = _REPLY.unpack(head)
        body = bytearray(length)
        self._read_into(memoryview(body))
        return kind, json.loads(body)

    def _read_into(self, view: memoryview) -> None:
        try:
            complete = _read_exactly(self._process.stdout, view)
        except OSError as err:
            raise WorkerDiedError from err
        if not complete:
            raise WorkerDiedError


def _read_exactly(pipe: BinaryIO, view: memoryview) -> bool:
    """Fill ``view`` from a pipe; False at its end."""
    while view:
        count = pipe.readinto(view)
        if not count:
            return False
        view = view[count:]
    return True


def _write_all(pipe: BinaryIO, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) :]


class _Notes(logging.Handler):
    """Keeps what readers log, for the parent: here logging is not set up."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._held: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._held.append((record.levelno, record.getMessage()))

    def take(self) -> list[tuple[int, str]]:
        held, self._held = self._held, []
        return held


def main() -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = _claim_pipes()
    notes = _Notes()
    logger = logging.getLogger("paddletsm")
    logger.addHandler(notes)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    with contextlib.suppress(BrokenPipeError):  # the parent ended: so does this
        setup = _next_message(requests)
        source = _load(setup, replies) if setup is not None else None
        if source is not None:
            _reply(replies, READY, {})
            inbox: queue.SimpleQueue[Request] = queue.SimpleQueue()
            threading.Thread(target=_receive_requests, args=(requests, inbox), daemon=True).start()
            _serve(source, inbox, replies, notes)


class _Source:
    """Reads clips, where possible into the memory that a request offers."""

    def __init__(self, dataset: ClipDataset, handles: Sequence[int]) -> None:
        self._dataset = dataset
        self._slots = WorkerSlots(handles)

    def read(self, request: Request) -> tuple[dict[str, Any], np.ndarray | None]:
        """Return facts of a clip, and its frames unless they are in their place."""
        place = request.place
        offered = None if place is None else self._slots.array(place)

        def destination(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
            fits = offered is not None and (offered.shape, offered.dtype) == (shape, dtype)
            return offered if fits else None

        other = self._dataset.alternative(request.sample) if request.is_retry else None
        dataset = self._dataset if other is None else other
        clip, times = dataset.read_into(request.sample, request.epoch, destination)
        is_placed = clip.frames is offered
        facts = {
            "shape": clip.frames.shape,
            "dtype": clip.frames.dtype.name,
            "labels": clip.labels,
            "times": times,
            "placed": is_placed,
        }
        return facts, None if is_placed else np.ascontiguousarray(clip.frames)


def _load(setup: bytes, replies: BinaryIO) -> _Source | None:
    try:
        dataset, handles = pickle.loads(setup)
        source = _Source(pickle.loads(dataset), handles)
        backends.opencv().setNumThreads(0)
    except Exception as err:  # noqa: BLE001 - the parent raises it
        _reply(replies, ERROR, {"reason": f"{type(err).__name__}: {err}"})
        return None
    return source


def _serve(
    source: _Source,
    inbox: queue.SimpleQueue[Request],
    replies: BinaryIO,
    notes: _Notes,
) -> NoReturn:
    while True:
        request = inbox.get()
        try:
            facts, frames = source.read(request)
        except DataError as err:
            _reply(replies, FAILED, {"reason": str(err), "notes": notes.take()})
        except Exception:  # noqa: BLE001 - a bug in a component; the parent raises it
            text = f"{request.sample.path}: {traceback.format_exc()}"
            _reply(replies, ERROR, {"reason": text, "notes": notes.take()})
        else:
            _reply(replies, CLIP, {**facts, "notes": notes.take()})
            if frames is not None:
                _write_all(replies, memoryview(frames).cast("B"))


def _receive_requests(requests: BinaryIO, inbox: queue.SimpleQueue[Request]) -> NoReturn:
    """Run beside the reading: the end of the parent ends a process whose decoder is stuck, too."""
    while True:
        message = _next_message(requests)
        if message is None:
            os._exit(0)
        inbox.put(pickle.loads(message))


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take over standard input and output; what libraries print goes to standard error."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, replies


def _next_message(requests: BinaryIO) -> bytes | None:
    head = bytearray(_LENGTH.size)
    if not _read_exactly(requests, memoryview(head)):
        return None
    body = bytearray(_LENGTH.unpack(head)[0])
    return bytes(body) if _read_exactly(requests, memoryview(body)) else None


def _reply(replies: BinaryIO, kind: int, details: dict[str, Any]) -> None:
    body = json.dumps(details).encode()
    _write_all(replies, _REPLY.pack(kind, len(body)) + body)
