"""The app in a real browser, from the setup to the log-out: by mouse, by keyboard alone, at two widths, for axe."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dopascope.web import Settings
from dopascope.web.viewing import SCRIPT
from web_installation import PASSWORD
from web_server import Server, missing

pytestmark = pytest.mark.slow
WIDTHS = (1200, 400)
HOSTILE = "disc<img src=x onerror=alert(1)>.zip"
SOFTWARE_GL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE_MS = 60_000
STATIC = Path(__file__).parents[2] / "src" / "dopascope" / "web" / "static"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    path = shutil.which("chromium")
    if path is None:
        missing("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=SOFTWARE_GL)
        yield made
        made.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A new installation, served."""
    settings = Settings(data=tmp_path / "web", models_dir=tmp_path / "models", niceness=0)
    settings.prepare()
    made = Server(settings)
    yield made
    made.end()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """A page that notes what a good one never does."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": 900}, base_url=server.url)
    made = context.new_page()
    made.set_default_timeout(PATIENCE_MS)
    made.faults = []
    made.on("pageerror", lambda error: made.faults.append(f"script: {error}"))
    made.on("console", lambda told: made.faults.append(told.text) if told.type == "error" else None)
    made.on("dialog", lambda shown: made.faults.append(f"dialog: {shown.message}"))
    yield made
    context.close()


@pytest.fixture(scope="module")
def disc(scan: bytes) -> dict[str, Any]:
    """A zip with a phantom's DICOM file, as a browser's file field takes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("DICOM/IM0001", scan)
    return {"name": "disc.zip", "mimeType": "application/zip", "buffer": stream.getvalue()}


@pytest.fixture(scope="module")
def picture() -> dict[str, Any]:
    """A PNG of a slice."""
    stream = io.BytesIO()
    Image.fromarray(np.tile(np.arange(96, dtype=np.uint8), (80, 1))).save(stream, "PNG")
    return {"name": "slice.png", "mimeType": "image/png", "buffer": stream.getvalue()}


def setup_address(server: Server) -> str:
    """As the terminal says it."""
    return re.search(r"/setup\?token=\S+", server.printed.read_text())[0]


def axe(page: Any) -> list[str]:
    """Serious findings of axe on a page: which rule, where."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def brightest(page: Any, part: str) -> int:
    """Of the pixels that a canvas of the viewer shows."""
    shown = page.locator(f'canvas[data-part="{part}"]').screenshot()
    return int(np.asarray(Image.open(io.BytesIO(shown)).convert("L")).max())


def red_pixels(page: Any, part: str) -> int:
    """How many pixels of a canvas are redder than grey."""
    shown = np.asarray(
        Image.open(io.BytesIO(page.locator(f'canvas[data-part="{part}"]').screenshot())).convert("RGB"), int
    )
    return int(((shown[..., 0] - shown[..., 2]) > 60).sum())


def made_accounts(page: Any, server: Server) -> None:
    """The first account, an invitation, and the account of who was invited; he is logged in."""
    page.goto(setup_address(server))
    page.fill("#name", "root")
    page.fill("#password", PASSWORD)
    page.click("text=Make the account")
    page.select_option("#role", "reader")
    page.click("input[value='Make an invitation']")
    page.click("text=Use it now")
    page.fill("#name", "ada")
    page.fill("#password", PASSWORD)
    page.click("text=Make the account")


def needs_viewer() -> bool:
    """Whether the front end was built; where its packages cannot be reached, the page does without."""
    if (STATIC / SCRIPT).is_file():
        return True
    told = (STATIC / SCRIPT).with_name("why-not.txt").read_text()
    assert re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|E40[34]|network", told), told
    return False


@pytest.mark.promise(
    "In a browser no page runs what a file's name says, and a cookie from before the log-out is dead",
    asvs="1.2.1, 3.4.3, 7.4.1",
    threats="T14, T17",
)
def test_from_setup_to_log_out(
    page: Any, server: Server, disc: dict[str, Any], picture: dict[str, Any], tmp_path: Path
) -> None:
    made_accounts(page, server)
    page.click("nav >> text=Upload")
    page.set_input_files("#files", disc | {"name": HOSTILE})
    page.fill("#age", "66")
    page.click("input[type=submit]")
    page.wait_for_selector("#job progress, #view")
    page.wait_for_selector("text=Passport")  # the page went on by itself when the reading was done
    reading = page.url
    assert "/readings/" in reading
    if needs_viewer():
        page.wait_for_selector("#viewer[data-ready]")
        page.wait_for_timeout(500)
        assert brightest(page, "scan") > 200
        assert brightest(page, "template") > 200
        assert red_pixels(page, "scan") > 500
        page.select_option("#v-colours", "gray")
        page.wait_for_timeout(500)
        assert red_pixels(page, "scan") < 50
        page.select_option("#v-over", "0")
        page.wait_for_timeout(500)
        assert red_pixels(page, "scan") > 50, "the regions are not drawn above the scan"
        page.select_option("#v-plane", "maximum")
        page.focus('canvas[data-part="scan"]')
        page.keyboard.press("ArrowUp")
        assert "mm" in page.locator('[data-part="place"]').inner_text()
    page.select_option("#label", "reduced")
    page.select_option("#confidence", "4")
    page.fill("#conclusion", "Reduced in both putamina.")
    page.fill("#password", PASSWORD)
    page.click("input[value=Sign]")
    page.wait_for_selector("text=confidence 4 of 5")
    page.goto("/upload")
    page.set_input_files("#files", picture)
    page.click("input[type=submit]")
    page.wait_for_selector("text=Passport")
    assert page.locator("#viewer").count() == 0
    page.click("nav >> text=Readings")
    page.fill("#find", "disc")
    page.click("text=Show")
    assert page.locator("tbody tr").count() == 1
    assert page.locator("tbody tr >> text=reduced").count() >= 1
    with page.expect_download() as told:
        page.click("text=CSV")
    table = Path(told.value.path()).read_text()
    assert ",ada,reduced,4\n" in table.replace("\r\n", "\n")
    page.goto(reading)
    with page.expect_download() as told:
        page.click("a:text-is('PDF')")
    assert Path(told.value.path()).read_bytes().startswith(b"%PDF")
    cookies = page.context.cookies()
    page.click("text=Log out")
    page.wait_for_url("**/login")
    page.context.add_cookies(cookies)
    page.goto(reading)
    assert "/login" in page.url, "the cookie of before the log-out still opens the app"
    assert page.faults == []


def test_by_keyboard_alone(page: Any, server: Server, disc: dict[str, Any]) -> None:
    # Asked for at the press of the key, choosers would be watched only after it on a busy machine.
    page.on("filechooser", lambda _: None)
    made_accounts(page, server)
    page.click("text=Log out")
    press = page.keyboard.press

    def tab_to(selector: str) -> None:
        for _ in range(80):
            press("Tab")
            if page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
                return
        raise AssertionError(f"Tab does not lead to {selector} on {page.url}")

    def type_into(selector: str, text: str) -> None:
        tab_to(selector)
        page.keyboard.type(text)

    page.goto("/login")
    type_into("#name", "ada")
    type_into("#password", PASSWORD)
    press("Enter")
    page.wait_for_selector("nav")
    press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    tab_to("nav a[href='/upload']")
    press("Enter")
    page.wait_for_selector("#files")
    tab_to("#files")
    with page.expect_file_chooser() as chosen:
        press("Enter")
    chosen.value.set_files(disc)
    tab_to("input[type=submit]")
    press("Enter")
    page.wait_for_selector("text=Passport")
    if needs_viewer():
        page.wait_for_selector("#viewer[data-ready]")
        tab_to("#v-colours")
        press("ArrowDown")
        assert page.locator("#v-colours").input_value() != "hot"
        tab_to('canvas[data-part="scan"]')
        press("PageUp")
        before = page.locator('[data-part="place"]').inner_text()
        press("PageUp")
        assert page.locator('[data-part="place"]').inner_text() != before
    tab_to("#label")
    page.keyboard.type("red")
    tab_to("#confidence")
    page.keyboard.type("4")
    type_into("#conclusion", "Reduced.")
    type_into("#sign-password, form[action$='/sign'] input[type=password]", PASSWORD)
    press("Enter")
    page.wait_for_selector("text=confidence 4 of 5")
    tab_to("nav a[href='/']")
    press("Enter")
    page.wait_for_selector("#find")
    type_into("#find", "disc")
    press("Enter")
    page.wait_for_url("**/?find=disc**")
    assert page.locator("tbody tr").count() == 1
    with page.expect_download():
        tab_to("a[href='/history.csv']")
        press("Enter")
    tab_to("form[action='/logout'] button")
    press("Enter")
    page.wait_for_url("**/login")
    assert page.faults == []


@pytest.fixture
def every_page(page: Any, server: Server, disc: dict[str, Any]) -> Callable[[], Iterator[str]]:
    """Go to each page in turn, as somebody who may see it; yields its name."""

    def visit() -> Iterator[str]:
        page.goto(setup_address(server))
        yield "setup"
        made_accounts(page, server)
        page.goto("/")
        yield "history-empty"
        page.goto("/upload")
        yield "upload"
        page.set_input_files("#files", disc)
        page.click("input[type=submit]")
        page.wait_for_selector("text=Passport")
        if needs_viewer():
            page.wait_for_selector("#viewer[data-ready]")
        yield "reading"
        pseudonym = page.locator("h1").inner_text()
        page.goto("/upload")
        page.set_input_files("#files", {"name": "no.dcm", "mimeType": "application/dicom", "buffer": b"no scan" * 99})
        page.click("input[type=submit]")
        page.wait_for_selector("text=was not read")
        yield "refused"
        for name in ("", "worklist", f"people/{pseudonym}", "dashboard", "models", "account", "nothing-here"):
            page.goto(f"/{name}")
            yield name.split("/")[0] or "history"
        page.click("text=Log out")
        yield "login"
        page.fill("#name", "root")
        page.fill("#password", PASSWORD)
        page.click("input[type=submit]")
        for name in ("users", "queue", "audit", "settings"):
            page.goto(f"/{name}")
            yield name

    return visit


def test_every_page_fits_both_widths_and_axe_finds_nothing_serious(
    page: Any, every_page: Callable[[], Iterator[str]], tmp_path: Path
) -> None:
    kept = Path(os.environ.get("DOPASCOPE_PICTURES", tmp_path))
    serious, wide = [], []
    for name in every_page():
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            serious += axe(page)
        page.emulate_media(color_scheme="light")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(150)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append((name, width))
            page.screenshot(path=kept / f"{name}-{width}.png", full_page=True)
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    assert serious == []
    assert wide == []
    faults = [one for one in page.faults if "404" not in one]  # /nothing-here is asked for
    assert faults == []


def test_pages_work_without_scripts(browser: Any, server: Server, page: Any, disc: dict[str, Any]) -> None:
    made_accounts(page, server)
    plain = browser.new_context(java_script_enabled=False, base_url=server.url)
    plain.add_cookies(page.context.cookies())
    shown = plain.new_page()
    shown.set_default_timeout(PATIENCE_MS)
    shown.goto("/upload")
    shown.set_input_files("#files", disc)
    shown.click("input[type=submit]")
    shown.wait_for_selector("text=Passport")  # the page loads itself again
    assert shown.locator("tbody >> text=Putamen").count() >= 2
    assert json.dumps("viewer needs scripts")[1:-1] in shown.content()
    plain.close()
