"""A JupyterLab in headless Chromium, driven by selenium."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

patience = 180


class Lab:
    """JupyterLab on a folder; what it shows is asked of its own application object."""

    def __init__(self, folder, screenshots=None):
        self.screenshots = Path(screenshots) if screenshots else None
        options = [
            "--no-browser", "--allow-root", "--IdentityProvider.token=", "--ServerApp.password=",
            "--ServerApp.port=0", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True",
        ]
        self.settings = self._settings()
        self.log = tempfile.NamedTemporaryFile("r", prefix="jupyterlab-", suffix=".log")
        with open(self.log.name, "w") as stderr:
            environment = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": self.settings.name}
            self.server = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options], stderr=stderr, cwd=folder, env=environment
            )
        self.address = self._address()
        self.browser = self._browser()

    @staticmethod
    def _settings():
        """Nothing of the person's own, and no question about news in the way."""
        folder = tempfile.TemporaryDirectory(prefix="jupyterlab-settings-")
        extension = Path(folder.name) / "@jupyterlab" / "apputils-extension"
        extension.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        (extension / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        return folder

    def _address(self):
        end = time.monotonic() + patience
        while self.server.poll() is None and time.monotonic() < end:
            if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+", Path(self.log.name).read_text()):
                return found[0]
            time.sleep(0.2)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read()}")

    @staticmethod
    def _browser():
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
        for flag in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000"]:
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        browser.set_script_timeout(patience)
        return browser

    def close(self):
        self.browser.quit()
        self.server.terminate()
        self.server.wait(20)
        self.log.close()
        self.settings.cleanup()

    def js(self, code, *args):
        """Runs `code` as an async function of `app`, the open `panel`, and `args`."""
        done = self.browser.execute_async_script(
            """const done = arguments[arguments.length - 1];
            const app = window.jupyterapp;
            const panel = app && app.shell.currentWidget;
            (async (app, panel, args) => { %s })(app, panel, [...arguments].slice(0, -1))
              .then((value) => done({ value: value === undefined ? null : value }), (error) => done({ error: String(error && error.stack || error) }));"""
            % code,
            *args,
        )
        if "error" in done:
            raise RuntimeError(done["error"])
        return done["value"]

    def wait(self, what, condition, seconds=patience):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                value = condition()
                if value:
                    return value
            except Exception as error:  # noqa: BLE001: the page may be between two states; the last one is told below
                value = error
            time.sleep(0.2)
        self.screenshot("failed")
        raise AssertionError(f"{what} did not come within {seconds} s: {value}")

    def open(self, name):
        self.browser.get(f"{self.address}/lab/tree/{name}?reset")
        self.wait("the notebook", lambda: self.js("return panel && panel.context && panel.context.isReady"))
        self.wait(
            "the kernel",
            lambda: self.js("const k = panel.sessionContext.session?.kernel; return k && k.status === 'idle'"),
        )

    def run_all(self):
        self.js("void app.commands.execute('notebook:run-all-cells')")

    def idle(self):
        self.wait("an idle kernel", lambda: self.js("return panel.sessionContext.session.kernel.status === 'idle'"))

    def cells(self):
        return json.loads(self.js("return JSON.stringify(panel.content.model.sharedModel.toJSON().cells)"))

    def set_cell(self, index, source):
        self.js(
            "panel.content.model.cells.get(args[0]).sharedModel.setSource(args[1]); panel.content.activeCellIndex = args[0];",
            index,
            source,
        )

    def run_cell(self, index):
        self.js("panel.content.activeCellIndex = args[0]; void app.commands.execute('notebook:run-cell')", index)

    def edit_at_end(self, index):
        """Puts the cursor at the end of a cell, as a click would."""
        self.js(
            """const cell = panel.content.widgets[args[0]];
            panel.content.activeCellIndex = args[0]; panel.content.mode = 'edit'; cell.editor.focus();
            const at = cell.editor.getPositionAt(cell.model.sharedModel.getSource().length);
            cell.editor.setCursorPosition(at);""",
            index,
        )

    def command(self, name):
        self.js("void app.commands.execute(args[0])", name)

    def text(self, selector):
        return self.js(
            "return [...document.querySelectorAll(args[0])].map((element) => element.textContent).join('\\n')", selector
        )

    def screenshot(self, name):
        if self.screenshots:
            self.screenshots.mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(os.fspath(self.screenshots / f"{name}.png"))
