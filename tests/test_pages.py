"""The report and the paper's page as people meet them: opened from file in Chromium, wide and as on a phone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from browser import Browser, chromium

from magictalk_core.workspace import Workspace

pytestmark = pytest.mark.slow

SIZES = [(1280, 900), (390, 844)]


def _page(workspace: Workspace, name: str) -> Path:
    return {"report": workspace.report / "report.html", "paper": workspace.paper / "paper.html"}[name]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", ["report", "paper"])
def test_a_page_fits_plays_its_videos_and_says_nothing_in_the_console(
    name: str, width: int, height: int, tiny_chain: Workspace, tmp_path: Path
) -> None:
    shots = Path(os.environ.get("MAGICTALK_SCREENSHOTS") or tmp_path)
    with chromium(tmp_path, width, height) as browser:
        browser.open(_page(tiny_chain, name))
        assert browser.script("return window.innerWidth") == width
        browser.picture(shots / f"{name}_{width}.png")
        assert _too_wide(browser) == []
        assert _played(browser) >= 1
        assert browser.complaints() == []


def _too_wide(browser: Browser) -> list[str]:
    """What reaches beyond the window, and boxes whose content is cut off or must be pushed aside to be read."""
    found: list[str] = browser.script(
        """
        const name = (one) => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 60)}`;
        const all = [...document.querySelectorAll("body *")];
        const beyond = all.filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1);
        const cut = all.filter((one) => one.tagName !== "PRE" && one.scrollWidth > one.clientWidth + 1
          && getComputedStyle(one).overflowX !== "visible");
        return [...new Set([...beyond.filter((one) => !one.closest("pre")), ...cut].map(name))];
        """
    )
    return found


def _played(browser: Browser) -> int:
    """Videos of the page, each of which was played."""
    count = int(browser.script("return document.querySelectorAll('video').length"))
    for number in range(count):
        video = f"document.querySelectorAll('video')[{number}]"
        browser.script(f"{video}.scrollIntoView(); {video}.muted = true; {video}.play();")
        browser.wait_for(f"{video}.error === null && {video}.videoWidth > 0 && {video}.currentTime > 0.1")
        browser.script(f"{video}.pause()")
    return count


@pytest.mark.parametrize("name", ["report", "paper"])
def test_a_heading_sorts_its_column_up_and_down(name: str, tiny_chain: Workspace, tmp_path: Path) -> None:
    with chromium(tmp_path, 1280) as browser:
        browser.open(_page(tiny_chain, name))
        values = "[...table.tBodies[0].rows].map(r => r.cells[1].dataset.value).filter(v => v !== '').map(Number)"
        # On so few clips some tables have no number in that column.
        browser.script(
            f"[...document.querySelectorAll('table.sortable')].find(table => {values}.length > 1).id = 'chosen'"
        )
        column = f"const table = document.getElementById('chosen'); return {values}"
        before = browser.script(column)
        browser.click("#chosen thead th:nth-child(2) button")
        assert browser.script(column) == sorted(before)
        browser.click("#chosen thead th:nth-child(2) button")
        assert browser.script(column) == sorted(before, reverse=True)
