"""A panel in the browser, used as a reader uses it: by keyboard."""

import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page

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
        field = self.row(label).locator("input:is(:checked, [type=number], [type=text])")
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


KEYS = {
    "number": ("ArrowUp", "ArrowDown"),
    "radio": ("Space",),
    None: ("ArrowRight", "ArrowLeft"),
}
"""What moves a field with arrows, a choice and a slider, and back from their end."""


def move(panel: LivePanel, label: str, handle: Locator) -> None:
    """Move a control by key, and see the picture change and its text tell the new value."""
    before, source = panel.shown(label), panel.source
    kind, back = handle.get_attribute("type"), panel.at_end(label)
    if kind == "text":
        value = float(before)
        enter(handle, f"{value + (-1 if back else 1) if value == int(value) else value / 2:g}")
    else:
        handle.press(KEYS[kind][-back])
    panel.wait_until(lambda: panel.shown(label) != before and panel.source != source)
    panel.wait_until(lambda: panel.tells(label) and panel.says in panel.alternative)


def enter(field: Locator, text: str) -> None:
    """Type a text in the place of what a field shows."""
    field.press("ControlOrMeta+a")
    field.press_sequentially(text)
    field.press("Enter")


def use(panel: LivePanel) -> None:
    """Move each control of a panel by each of its handles, by keyboard; play what can be played."""
    fields = "input:is([type=number], [type=text])"
    handles = f"{fields}, input[type=radio]:not(:checked), [role=slider]"
    for label in panel.labels():
        for handle in panel.row(label).locator(handles).all():
            move(panel, label, handle)

    play = panel.root.get_by_role("button", name="Play", exact=True)
    if play.count():
        steps = {panel.alternative}
        play.press("Space")
        panel.wait_until(lambda: len(steps) > 3 or steps.add(panel.alternative))
        play.press("Space")
        panel.page.wait_for_timeout(500)
        still = panel.source
        panel.page.wait_for_timeout(500)
        assert panel.source == still, "it has stopped"
    assert panel.seen["blank"] == 0, "no flicker"
    assert len(panel.seen["heights"]) == 1, "no jump in height"
