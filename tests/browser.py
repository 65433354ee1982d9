"""A JupyterLab of its own and a browser in front of it, to use notebooks by hand.

python tests/browser.py --all
python tests/browser.py 03_langevin_monte_carlo

Opens lessons, runs all their cells and uses their panels; prints a line for each, and ends with
exit status 1 if anything is wrong with one of them.
"""

import argparse
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Error, Page, sync_playwright

from course import FIGURES, LESSONS, NOTEBOOKS, PATHS, print_anywhere, set_aside_settings
from live import LivePanel, use

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",  # the browser sees this machine's own pages only, and root cannot have one
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
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

    The server listens on this machine alone. The reader's settings are to be set aside before.
    """
    course, log = folder / "course", folder / "server.log"
    for path in (*PATHS.values(), *FIGURES.iterdir()):
        copy = course / path.relative_to(NOTEBOOKS.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)  # without its mode: the checkout may be read-only
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    news = settings / "notification.jupyterlab-settings"
    news.write_text('{"fetchNews": "false"}', encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
    command += [f"--port={port}", f"--IdentityProvider.token={token}", "--allow-root"]
    command += ["--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={course}"]
    command += [f"--LabApp.user_settings_dir={folder / 'settings'}"]
    command += [f"--LabApp.workspaces_dir={folder / 'workspaces'}"]
    with log.open("w", encoding="utf-8") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/api?token={token}", server, log)
        yield f"{url}/doc/tree/notebooks/{{}}.ipynb?reset&token={token}", log
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:  # a kernel was still being started
            server.kill()
            server.wait()


def wait_for(url: str, server: subprocess.Popen, log: Path, *, seconds: float = 60) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url):
                return
        except URLError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text('utf-8')}") from None
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
    return page.evaluate(f"Promise.race([({RUN_ALL})(), ({TOO_LONG})(300)])")


def complaints(page: Page) -> list[str]:
    """Return the errors that the kernel has sent since the notebook was run."""
    return page.evaluate("window.complaints")


PANELS = {
    "01_data_histogram": "histogram_panel",
    "03_langevin_monte_carlo": "step_panel",
    "04_energy_based_model": "penalty_panel",
    "05_particle_flow": "flow_panel",
    "07_trusting_chains": "diagnostics_panel",
    "08_two_dimensions": "plane_panel",
    "09_images": "inpainting_panel",
    "10_scores_and_diffusion": "descent_panel",
}
"""The lessons that have a panel, and the function that makes it."""


def trouble(page: Page, cells: list[dict[str, Any]], log: Path, panels: int) -> list[str]:
    """Use the panels of a notebook that was run, and return what is wrong with it.

    Args:
        page: the notebook's page.
        cells: what ``run_all`` returned.
        log: the server's log.
        panels: how many panels it is to have.
    """
    found = []
    counts = [cell["count"] for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        found.append(f"the cells' counts are {counts}")
    for cell in cells:
        words = {output.get(key) for output in cell["outputs"] for key in ("output_type", "name")}
        if "raises-exception" not in cell["tags"] and words & {"error", "stderr"}:
            found.append(f"cell {cell['id']} shows an error or a warning")
    if (live := page.locator(".course-panel").count()) != panels:
        found.append(f"there are {live} panels, not {panels}")
    for number in range(live):
        use(LivePanel(page, number))
    found += complaints(page)
    for words in ("Error displaying widget", "Click to show javascript error", "model not found"):
        if page.get_by_text(words).count():
            found.append(f"the page says {words!r}")
    if "Traceback" in (text := log.read_text(encoding="utf-8")):
        found.append(f"the server's log:\n{text}")
    return found


def main() -> None:
    """Run the lessons named on the command line, or all of them, as a reader would."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every lesson")
    parser.add_argument("names", nargs="*", metavar="notebook", help="for example 02_nll_gradient")
    arguments = parser.parse_args()
    names = list(LESSONS) if arguments.all else [Path(name).stem for name in arguments.names]
    if not names or not set(names) <= LESSONS.keys():
        parser.error(f"name some of these, or --all: {', '.join(LESSONS)}")
    if find_browser() is None:
        parser.error("there is no Chromium or Chrome on the PATH")
    print_anywhere()
    wrong = 0
    with tempfile.TemporaryDirectory() as settings, tempfile.TemporaryDirectory() as folder:
        set_aside_settings(Path(settings))
        with jupyter_lab(Path(folder)) as (url, log):
            for name in names:
                start = time.monotonic()
                try:
                    with new_page() as page:
                        cells = run_all(page, url.format(name))
                        found = trouble(page, cells, log, int(name in PANELS))
                except (AssertionError, TimeoutError, Error) as error:
                    found = [str(error)]
                wrong += bool(found)
                seconds = time.monotonic() - start
                print(f"{name:28}{seconds:6.1f} s  ", "; ".join(found) or "fine", flush=True)
    print(f"{len(names) - wrong} lessons passed, {wrong} failed in the browser")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
