# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
