# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""The published data sets of the zoo; to add one, write its module and name it here."""

from __future__ import annotations

from paddletsm.prepare.diving48 import DIVING48
from paddletsm.prepare.hmdb51 import HMDB51
from paddletsm.prepare.jester import JESTER
from paddletsm.prepare.kinetics400 import KINETICS400
from paddletsm.prepare.something import STHV1, STHV2
from paddletsm.prepare.ucf101 import UCF101

SOURCES = (UCF101, HMDB51, KINETICS400, STHV1, STHV2, JESTER, DIVING48)
