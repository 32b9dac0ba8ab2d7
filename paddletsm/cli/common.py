# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the parser's manners, logging, and errors as exit codes."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from paddletsm.cli.stopping import exit_code
from paddletsm.errors import ConfigError, PaddleTSMError
from paddletsm.utils.disk import problem_of
from paddletsm.utils.logging import configure_logging
from paddletsm.utils.text import nearest
from paddletsm.utils.threads import most_threads

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


class _Parser(argparse.ArgumentParser):
    """Names the nearest option when one is misspelt; exit code 2."""

    def error(self, message: str) -> NoReturn:
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            word = message.removeprefix(prefix).split()[0]
            options = [option for action in self._actions for option in action.option_strings]
            message += nearest(word.split("=")[0], options)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message}\nTry: {self.prog} --help\n")


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults that tell something; "(default: None)" does not."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, "") or isinstance(action.default, list):
            return action.help
        return super()._get_help_string(action)


def make_parser(command: str, description: str) -> argparse.ArgumentParser:
    """A parser that takes no abbreviated options, so that a misspelt one is never guessed.

    Its messages begin with what the user has typed: main.py, prepare_data.py folder, or
    paddletsm train.
    """
    script = os.path.basename(sys.argv[0])
    is_ours = script.endswith(".py") and not script.startswith("__")
    return _Parser(
        prog=" ".join([script, *command.split()[1:]]) if is_ours else f"paddletsm {command}",
        description=description,
        allow_abbrev=False,
        formatter_class=_Formatter,
    )


def has_option(parser: argparse.ArgumentParser, word: str) -> bool:
    """Whether ``word``, as in --name or --name=value, is an option of the parser."""
    return word.partition("=")[0] in parser._option_string_actions


def add_override_argument(
    parser: argparse.ArgumentParser, *flags: str, of: str = "the configuration"
) -> None:
    """``-o/--override KEY.SUB=VALUE``, repeatable: values that replace those of a configuration.

    Args:
        parser: of the command.
        flags: instead of -o and --override, where -o means something else.
        of: what the values belong to, for --help.
    """
    parser.add_argument(
        *(flags or ("-o", "--override")),
        action="append",
        default=[],
        metavar="KEY.SUB=VALUE",
        help=f"replace a value of {of}; repeatable",
    )


def add_switch(
    group: argparse._ActionsContainer, name: str, *, default: bool | None, help: str
) -> None:
    """Add an option that reads ``--x``, ``--x True`` and ``--x 0`` alike."""
    group.add_argument(
        name, type=parse_bool, nargs="?", const=True, default=default, metavar="BOOL", help=help
    )


def add_threads_argument(group: argparse._ActionsContainer, flag: str = "--cpu_threads") -> None:
    """Add the number of threads that a network computes with."""
    group.add_argument(
        flag,
        type=whole(1, most_threads()),
        metavar="N",
        help="default: the cores this process may use",
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every command."""
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error, log more"
    )


def process_rank() -> int:
    """Number of this process under paddle.distributed.launch, 0 without it."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0") or 0)


def run_command(
    parser: argparse.ArgumentParser,
    function: Callable[[argparse.Namespace], int],
    argv: list[str] | None,
) -> int:
    """Parse, run, and turn an error of the user into one message and exit code 2."""
    args = parser.parse_args(argv)
    # Before anything imports OpenCV, Paddle included: a file that is no video is reported once.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    configure_logging("DEBUG" if args.debug else "INFO", rank=process_rank())
    try:
        return function(args)
    except PaddleTSMError as err:
        if args.debug:
            traceback.print_exc()
        print(f"{parser.prog}: error: {err}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt as stop:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return exit_code(stop)
    except BrokenPipeError:  # the reader of our output, say `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as err:  # a folder that cannot be written, a full disk
        if args.debug:
            traceback.print_exc()
        where = f"{err.filename}: " if err.filename else ""
        print(f"{parser.prog}: error: {where}{problem_of(err)}", file=sys.stderr)
        return EXIT_USAGE


def check_target(option: str, target: str) -> Path:
    """Refuse a file that cannot be written, before the work of hours, not behind it.

    Args:
        option: that names it, "--html".
        target: the file; it may exist, and its folder may be missing.

    Raises:
        ConfigError: it is a folder, or lies where nothing can be written.
    """
    path = Path(target)
    if path.is_dir():
        raise ConfigError(f"{option} {target}: is a folder; name a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ConfigError(f"{option} {target}: {folder} is not a folder")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{option} {target}: {folder} cannot be written to")
    return path


def check_apart(option: str, targets: Iterable[str | Path], inputs: Iterable[str]) -> None:
    """Refuse a file to be written that is one to be read, also under another name.

    Args:
        option: that names the files to be written, "--save_video".
        targets: these files; they may be missing.
        inputs: files that are read; names of others, such as URLs, are no file's.

    Raises:
        ConfigError: a target is an input, by its path, a link or a link's target.
    """
    paths = {os.path.realpath(name): name for name in inputs if name}
    nodes = {_node(path): name for path, name in paths.items() if os.path.exists(path)}
    for target in targets:
        path = os.path.realpath(target)
        same = paths.get(path) or (nodes.get(_node(path)) if os.path.exists(path) else None)
        if same is not None:
            name = "it" if same == str(target) else f"the input {same}"
            raise ConfigError(
                f"{option} {target}: would overwrite {name}, which is read; name another place"
            )


def _node(path: str) -> tuple[int, int]:
    """What hard links of a file have in common."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def parse_bool(text: str) -> bool:
    """Read True/False, 1/0, yes/no, on/off.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise argparse.ArgumentTypeError(f"expected True or False, not {text!r}")


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """``type`` of an option that is a whole number from ``least`` to ``most``: ``type=whole(1)``.

    Its errors, and those of ``parse_seconds``, name the option as the user has typed it, where the
    functions behind a command name their arguments.
    """
    wanted = f"from {least} on" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"expected a whole number {wanted}, not {text!r}")
        return value

    return read


def parse_seconds(text: str) -> float:
    """``type`` of an option that is a finite time above 0.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, not {text!r}")
    return value


def check_device(device: str | None) -> None:
    """Refuse a device name that Paddle does not know.

    Raises:
        ConfigError: unknown kind, or a number that is none.
    """
    if device is None:
        return
    kind, separator, number = device.partition(":")
    if kind not in ("cpu", "gpu", "xpu", "npu") or (separator and not number.isdecimal()):
        raise ConfigError(
            f"--device {device}: expected cpu, gpu, gpu:0, xpu or npu"
            f"{nearest(kind, ('cpu', 'gpu', 'xpu', 'npu'))}"
        )
