# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""An engine in a process of its own, to compute beside others.

Paddle keeps Python's lock while it runs a network, so engines of one process wait for one another.
The two sides speak over pipes: a count and float32 arrays, nothing that could run code.

    parent   count N, clips [N,T,3,H,W]  ->   child   engine.run
             logits [N,K], or a message  <-
"""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from paddletsm.deploy.artefact import read_artefact
from paddletsm.deploy.engine import Engine, EngineOptions
from paddletsm.errors import ExportError, PaddleTSMError

_BOOTSTRAP = (
    "import sys; setup = sys.argv[1]; sys.path[:] = sys.argv[2:]; "
    "from paddletsm.deploy.engine_process import serve; serve(setup)"
)
_COUNT = struct.Struct("<I")
_REPLY = struct.Struct("<II")  # rows and columns of the logits; 0 and the length of a message
_READY = (0, 0)


class EngineProcess:
    """Runs an artefact's network in a child process, which ends with this one.

    Args:
        folder: of the artefact.
        engine: name of the engine, see ``choose_engine``.
        precision: "fp32" or "int8".
        form: of the artefact's formats, the one to run; None: as ``choose_engine`` says.
        options: of the engine.
        cores: numbers of the cores it may use; none: any. OpenVINO binds its threads to cores, in
            every process to the same ones unless each has its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        engine: str,
        precision: str,
        options: EngineOptions,
        form: str | None = None,
        cores: Sequence[int] = (),
    ) -> None:
        self._artefact = read_artefact(folder)
        self._setup = json.dumps(
            {
                "folder": str(folder.resolve()),
                "engine": engine,
                "precision": precision,
                "form": form,
                "options": dataclasses.asdict(options),
                "cores": list(cores),
            }
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False

    @property
    def output_name(self) -> str:
        """Name of the logits."""
        return self._artefact.output.name

    def start(self) -> None:
        """Start the process, where it does not run; it loads the network meanwhile."""
        if self._process is None:
            self._is_ready = False
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOTSTRAP, self._setup, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is the parent's business alone
            )

    def wait_ready(self) -> None:
        """Wait until the network is loaded.

        Raises:
            ExportError: it cannot be loaded.
        """
        self.start()
        if not self._is_ready:
            self._receive()
            self._is_ready = True

    def run(self, clips: np.ndarray) -> np.ndarray:
        """[N, T, 3, H, W] float32 -> logits [N, K] float32.

        Raises:
            ExportError: the engine cannot run the network, or its process has ended.
        """
        self.wait_ready()
        clips = np.ascontiguousarray(clips, np.float32)
        try:
            self._process.stdin.write(_COUNT.pack(len(clips)))
            self._process.stdin.write(memoryview(clips).cast("B"))
            self._process.stdin.flush()
        except OSError as err:
            raise self._ended() from err
        return self._receive()

    def close(self) -> None:
        """End the process; ``run`` starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

    def _receive(self) -> np.ndarray | None:
        try:
            rows, columns = _REPLY.unpack(_exactly(self._process.stdout, _REPLY.size))
            if (rows, columns) == _READY:
                return None
            if not rows:
                raise ExportError(_exactly(self._process.stdout, columns).decode())
            values = np.frombuffer(_exactly(self._process.stdout, 4 * rows * columns), np.float32)
        except EOFError as err:
            raise self._ended() from err
        return values.reshape(rows, columns)

    def _ended(self) -> ExportError:
        code = self._process.wait()
        self.close()
        return ExportError(
            f"the process that runs the network has ended (exit code {code}; -9: killed, perhaps "
            "for want of memory); fewer instances need less"
        )


def serve(setup_text: str) -> None:
    """Be the child: load the network, then answer until the parent's pipe is closed."""
    try:
        _serve(setup_text)
    except (BrokenPipeError, EOFError):
        # The parent was killed: there is nobody to answer. A plain return would try once more to
        # write what is buffered, and complain of that.
        os._exit(1)


def _serve(setup_text: str) -> None:
    from paddletsm.deploy.engines import make_engine

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get among the answers
    setup = json.loads(setup_text)
    folder = Path(setup["folder"])
    if setup["cores"]:
        os.sched_setaffinity(0, setup["cores"])
    try:
        artefact = read_artefact(folder)
        if setup["form"] is not None:
            artefact = artefact.only(setup["form"])
        engine = make_engine(
            folder,
            artefact,
            engine=setup["engine"],
            precision=setup["precision"],
            options=EngineOptions(**setup["options"]),
        )
    except PaddleTSMError as err:
        _complain(answers, err)
        return
    answers.write(_REPLY.pack(*_READY))
    answers.flush()
    _answer_all(engine, artefact.input.shape[1:], answers)


def _answer_all(engine: Engine, shape: tuple[int, ...], answers: BinaryIO) -> None:
    requests = sys.stdin.buffer
    while header := requests.read(_COUNT.size):
        (count,) = _COUNT.unpack(header)
        pixels = _exactly(requests, 4 * count * int(np.prod(shape)))
        try:
            logits = engine.run(np.frombuffer(pixels, np.float32).reshape(count, *shape))
        except PaddleTSMError as err:
            _complain(answers, err)
            continue
        answers.write(_REPLY.pack(*logits.shape))
        answers.write(np.ascontiguousarray(logits, np.float32).tobytes())
        answers.flush()


def _complain(answers: BinaryIO, err: Exception) -> None:
    message = str(err).encode()
    answers.write(_REPLY.pack(0, len(message)) + message)
    answers.flush()


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data
