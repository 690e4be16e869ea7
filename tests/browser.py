"""A headless browser to test pages with: Chromium's own protocol over a pipe, no driver needed."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


class Page:
    """One open page, with everything that happened in it.

    Attributes
    ----------
    events : list of dict
        What the browser reported, such as exceptions, dialogs and network requests.
    """

    def __init__(self, browser, session):
        self._browser = browser
        self._session = session
        self.events = browser.events

    def call(self, method, **parameters):
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, expression):
        """Return the value of a JavaScript expression; a promise is waited for."""
        done = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def names(self, method):
        """Return the parameters of all events of one kind."""
        return [event["params"] for event in self.events if event["method"] == method]


class _Browser:
    def __init__(self, process, to_browser, from_browser):
        self.process = process
        self.events = []
        self._write, self._read = to_browser, from_browser
        self._buffer, self._count = b"", 0

    def call(self, method, session=None, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            assert part, "the browser has gone"
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


@contextmanager
def open_page(path, profile, width=1000, height=800):
    """Open a file in a headless browser and yield the `Page` when it has loaded."""
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
    options += [f"--user-data-dir={profile}", f"--window-size={width},{height}"]
    process = subprocess.Popen(
        # the protocol's pipes are file descriptors 3 and 4 of the browser
        ["bash", "-c", f'exec "$0" "$@" 3<&{from_us} 4>&{to_us}', CHROMIUM, *options],
        pass_fds=(from_us, to_us),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(from_us)
    os.close(to_us)
    browser = _Browser(process, to_browser, from_browser)
    try:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(browser, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call("Page.navigate", url=f"file://{path}")
        page.evaluate(
            "new Promise(done => document.readyState === 'complete' ? done()"
            " : addEventListener('load', done))"
        )
        yield page
        browser.call("Browser.close")
    finally:
        process.terminate()
        process.wait(timeout=20)
        os.close(to_browser)
        os.close(from_browser)
