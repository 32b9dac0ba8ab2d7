# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""Open a page in Qt's Chromium without a screen: python browser.py PAGE OUT.png [options].

Prints one JSON object: requests (addresses asked for), console (messages of the page), the width
and height of the window and of the content, and the value of --eval. A process of its own, as a
browser that crashes must not take the tests with it. Needs PySide6 (extra "browser").
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtGui import QImage
from PySide6.QtWebEngineCore import (
    QWebEnginePage,
    QWebEngineProfile,
    QWebEngineSettings,
    QWebEngineUrlRequestInterceptor,
)
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication

_MAX_HEIGHT = 8000  # of the window, pixels; a page that is longer is cut off
_SETTLE_MS = 400  # for the picture to be painted
_MEASURE = """JSON.stringify({width: innerWidth,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    content_width: document.documentElement.scrollWidth,
    content_height: document.body.offsetHeight})"""


class Interceptor(QWebEngineUrlRequestInterceptor):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def interceptRequest(self, info: object) -> None:  # noqa: N802 - Qt's name
        self.addresses.append(info.requestUrl().toString()[:200])
        info.block(not info.requestUrl().isLocalFile())  # seen is enough


class Page(QWebEnginePage):
    def __init__(self, profile: QWebEngineProfile, view: QWebEngineView) -> None:
        super().__init__(profile, view)
        self.messages: list[str] = []

    def javaScriptConsoleMessage(  # noqa: N802 - Qt's name
        self, level: object, message: str, line: int, source: str
    ) -> None:
        self.messages.append(f"{level.name} line {line}: {message}")


class Visit:
    """Load, run the script, measure, take the picture."""

    def __init__(self, application: QApplication, args: argparse.Namespace) -> None:
        self.application, self.args = application, args
        self.facts: dict[str, object] = {"loaded": False}
        self.picture: QImage | None = None
        self.interceptor, self.profile = Interceptor(), QWebEngineProfile()
        self.profile.setUrlRequestInterceptor(self.interceptor)
        self.view = QWebEngineView()
        self.page = Page(self.profile, self.view)
        self.view.setPage(self.page)
        # Else Qt itself refuses what a local page asks for, before the interceptor sees it.
        remote = QWebEngineSettings.WebAttribute.LocalContentCanAccessRemoteUrls
        self.page.settings().setAttribute(remote, True)
        self.view.resize(args.width, _MAX_HEIGHT)  # all of it is painted at once
        self.view.show()
        self.page.loadFinished.connect(self.loaded)
        self.page.load(QUrl.fromLocalFile(str(args.page.resolve())))

    def loaded(self, is_done: bool) -> None:
        self.facts["loaded"] = is_done
        self.page.runJavaScript(self.args.eval, 0, self.evaluated)

    def evaluated(self, value: object) -> None:
        self.facts["value"] = value
        QTimer.singleShot(_SETTLE_MS, self.measure)

    def measure(self) -> None:
        self.page.runJavaScript(_MEASURE, 0, self.measured)

    def measured(self, text: str) -> None:
        self.facts.update(json.loads(text))
        QTimer.singleShot(_SETTLE_MS, self.take_picture)

    def take_picture(self) -> None:
        """Save the picture once two in a row are equal, so that painting has ended."""
        before, self.picture = self.picture, self.view.grab().toImage()
        if self.picture != before:
            QTimer.singleShot(_SETTLE_MS, self.take_picture)
            return
        height = min(_MAX_HEIGHT, self.facts["content_height"])
        self.picture.copy(0, 0, self.args.width, height).save(str(self.args.picture))
        self.application.quit()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1100)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--reduced_motion", action="store_true")
    parser.add_argument("--eval", default="null", help="JavaScript, run after loading")
    return parser.parse_args()


def main() -> None:
    args = parse()
    scheme = 0 if args.dark else 1
    flags = f"--no-sandbox --disable-gpu --blink-settings=preferredColorScheme={scheme}"
    if args.reduced_motion:
        flags += " --force-prefers-reduced-motion"
    os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = flags
    os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"  # it does not work as root, as in containers
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = QApplication(sys.argv[:1])
    visit = Visit(application, args)
    QTimer.singleShot(60_000, application.quit)
    application.exec()
    seen = {"requests": visit.interceptor.addresses, "console": visit.page.messages}
    sys.stdout.write(json.dumps({**seen, **visit.facts}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # Qt's own end now and then crashes after the work is done


if __name__ == "__main__":
    main()
