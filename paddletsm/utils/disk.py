# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""What the system says about a file or folder, in words that tell what to do."""

from __future__ import annotations

import errno
import os

_REMEDIES = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "choose another place, or change its rights"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room, or choose another place"),
    errno.EROFS: "choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "name a file",
}


def problem_of(err: OSError) -> str:
    """The reason and, where one is known, a remedy: to be put behind the name of the file.

    "No space left on device; make room, or choose another place"
    """
    if isinstance(err, FileExistsError) and os.path.isfile(err.filename or ""):
        return "a file is where a folder is needed"
    if isinstance(err, NotADirectoryError):
        return "a part of this path is a file, not a folder"
    reason = str(err.strerror or err)
    remedy = _REMEDIES.get(err.errno or 0)
    return f"{reason}; {remedy}" if remedy else reason
