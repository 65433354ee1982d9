"""A JupyterLab of its own and a browser in front of it, for tests that use notebooks by hand."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Locator, Page, sync_playwright

from refresh import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",  # the browser sees this machine's own pages only, and root cannot have one
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TOO_LONG = """seconds => new Promise((_, reject) => setTimeout(
    () => reject(new Error(`the notebook was not done after ${seconds} s`)), 1000 * seconds))"""
RUN_ALL = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    const session = panel.context.sessionContext;
    await session.ready;
    const kernel = session.session.kernel;
    await kernel.info;
    window.complaints = [];
    kernel.iopubMessage.connect((_, message) => {
        if (message.header.msg_type === 'error')
            window.complaints.push(message.content.ename + ': ' + message.content.evalue);
    });
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
    return panel.content.model.sharedModel.cells
        .filter(cell => cell.cell_type === 'code')
        .map(cell => ({
            id: cell.id, count: cell.execution_count, tags: cell.getMetadata('tags') || [],
            outputs: cell.getOutputs()}));
}"""


def find_browser() -> str | None:
    """Return the path of this machine's Chromium or Chrome, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve copies of the notebooks and figures from an empty folder; yield the URL and the log.

    The server has settings of its own, listens on this machine alone, and takes one thread, as the
    stored numbers do.
    """
    for name in ("notebooks", "figures"):
        shutil.copytree(ROOT / name, folder / "course" / name)
    settings = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = secrets.token_hex(16), folder / "server.log"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
    command += [f"--port={port}", f"--IdentityProvider.token={token}", "--allow-root"]
    command += ["--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder / 'course'}"]
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "run",
    }
    places |= {"IPYTHONDIR": "ipython", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    environment = {**os.environ, **{key: str(folder / name) for key, name in places.items()}}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / "config" / "lab" / "user-settings")}
    environment |= {"OMP_NUM_THREADS": "1"}
    with log.open("w") as file:
        server = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/api?token={token}", server, log)
        yield f"{url}/doc/tree/notebooks/{{}}.ipynb?reset&token={token}", log
    finally:
        server.terminate()
        server.wait(20)


def wait_for(url: str, server: subprocess.Popen, log: Path, *, seconds: float = 60) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url):
                return
        except URLError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}") from None
            time.sleep(0.1)


@contextmanager
def new_page() -> Iterator[Page]:
    """Start the browser and yield an empty page in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def run_all(page: Page, url: str) -> list[dict[str, Any]]:
    """Open a notebook, run all its cells, and return what its code cells hold then.

    Errors that come later, in callbacks too, gather in ``complaints``.
    """
    page.goto(url)
    page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget?.context")
    return page.evaluate(f"Promise.race([({RUN_ALL})(), ({TOO_LONG})(180)])")


def complaints(page: Page) -> list[str]:
    """Return the errors that the kernel has sent since the notebook was run."""
    return page.evaluate("window.complaints")


WATCH = """root => {
    const content = root.querySelector('.widget-html-content');
    const seen = root.seen = {pressed: 0, released: 0, shown: [], blank: 0, heights: new Set()};
    document.addEventListener('keydown', () => { seen.pressed = performance.now(); }, true);
    document.addEventListener('pointerup', () => { seen.released = performance.now(); }, true);
    new MutationObserver(() => {
        const pressed = seen.pressed;
        requestAnimationFrame(async () => {
            const image = content.querySelector('img');
            if (image && !(image.complete && image.naturalWidth)) seen.blank += 1;
            if (image) await image.decode();
            seen.heights.add(root.offsetHeight);
            requestAnimationFrame(() => seen.shown.push([pressed, performance.now()]));
        });
    }).observe(content, {childList: true});
}"""
"""Note when keys were pressed and pictures shown, pictures not ready in time, and heights."""


class LivePanel:
    """A panel on the page, used as a reader uses it."""

    def __init__(self, page: Page, number: int = 0):
        self.page = page
        self.root = page.locator(".course-panel").nth(number)
        self.root.wait_for()
        self.root.scroll_into_view_if_needed()
        sources = [""]
        while sources[-1] != self.source:  # pictures of what the cells did may still come
            sources.append(self.source)
            page.wait_for_timeout(300)
        self.root.evaluate(WATCH)

    @property
    def says(self) -> str:
        """The sentence that the panel shows."""
        return self.root.locator("p").inner_text()

    @property
    def alternative(self) -> str:
        """The picture's text alternative."""
        return self.root.locator("img").get_attribute("alt") or ""

    @property
    def source(self) -> str:
        """The picture itself, as a data URL; where there is none, the text in its place."""
        image = self.root.locator("img")
        place = self.root.locator(".widget-html-content")
        return (image.get_attribute("src") or "") if image.count() else place.inner_text()

    @property
    def seen(self) -> dict[str, Any]:
        """What has been noted of the pictures shown so far; times in milliseconds."""
        return self.root.evaluate("root => ({...root.seen, heights: [...root.seen.heights]})")

    def labels(self) -> list[str]:
        """Return the visible labels of the controls."""
        return self.root.locator("label.widget-label:not(:empty)").all_inner_texts()

    def row(self, label: str) -> Locator:
        """Return the row of a control."""
        named = self.page.locator(
            "label.widget-label", has_text=re.compile(f"^{re.escape(label)}$")
        )
        return self.root.locator(".course-row").filter(has=named)

    def shown(self, label: str) -> str:
        """Return what a control shows as its value."""
        field = self.row(label).locator("input:is(:checked, [type=number])")
        radio = field.get_attribute("type") == "radio"
        return field.evaluate("e => e.parentElement.innerText") if radio else field.input_value()

    def at_end(self, label: str, end: str = "max") -> bool:
        """Say whether a control has a slider, and it is at its end (or at its "min")."""
        slider = self.row(label).locator("[role=slider]")
        ends = ("aria-valuenow", f"aria-value{end}")
        return slider.count() > 0 and len({slider.get_attribute(name) for name in ends}) == 1

    def tells(self, label: str) -> bool:
        """Say whether the picture's text alternative names the value that a control shows."""
        return any(f" {label} {self.shown(label)}{end}" in self.alternative for end in ";.")

    def wait_until(self, condition: Callable[[], object], *, seconds: float = 20) -> None:
        """Wait until a condition holds.

        Raises:
            TimeoutError: if it does not in time.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"nothing came of it; the panel says: {self.alternative}")
            self.page.wait_for_timeout(20)
