"""Chromium behind nginx: the console, its service worker and Swagger below a path, and a proxy that hides the host."""

import re

import pytest
from playwright.sync_api import expect

from api.access.site import PASSWORD
from console.conftest import ADMIN, CHROMIUM
from machine_monitor.api.serving import console
from outside.proxies.conftest import PREFIX
from outside.proxies.proxy import NAME

# Swagger reads a large document, on a machine that runs other tests too.
SLOW_MS = 30_000
pytestmark = [
    pytest.mark.outside,
    pytest.mark.untraced,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"needs Chromium at {CHROMIUM}, or where MM_TEST_CHROMIUM says"),
    pytest.mark.skipif(not (console.FOLDER / "index.html").is_file(), reason="needs the console: make console"),
]


def sign_in(page):
    page.locator("[name=trigram]").fill(ADMIN)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[type=submit]").click()


def test_the_console_its_worker_and_swagger_work_below_a_path(variants, chromium):
    address = f"http://127.0.0.1:{variants['removing'].port}"
    with chromium.new_context(base_url=address, service_workers="allow") as context:
        page = context.new_page()
        wrong = []
        page.on("response", lambda response: response.status in (401, *range(200, 400)) or wrong.append(response.url))
        page.goto(f"{PREFIX}/")
        sign_in(page)
        expect(page.locator("main")).to_contain_text("50")
        assert page.url == f"{address}{PREFIX}/ui/logs"
        scope = page.evaluate("navigator.serviceWorker.ready.then(({ scope }) => scope)")
        assert scope == f"{address}{PREFIX}/ui/"
        page.goto(f"{PREFIX}/ui/labels")
        page.get_by_role("button", name="Choose all").click()
        expect(page.locator("img").first).to_be_visible()
        assert page.locator("img").first.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        assert page.evaluate("indexedDB.databases().then((all) => all.map(({ name }) => name))") == [
            f"machine-monitor@{PREFIX}"
        ]
        context.set_offline(True)
        page.goto(f"{PREFIX}/ui/logs")
        expect(page.locator("nav").first).to_be_visible()
        context.set_offline(False)
        page.goto(f"{PREFIX}/docs")
        expect(page.locator(".opblock").first).to_be_visible(timeout=SLOW_MS)
        expect(page.locator(".servers option")).to_have_text([re.compile(PREFIX)])
        assert wrong == []


@pytest.mark.parametrize(
    ("locale", "sentence"), [("en-GB", "the proxy in front of it"), ("fr-FR", "le proxy placé devant")]
)
def test_a_proxy_that_hides_the_host_is_named_in_the_console(variants, chromium, locale, sentence):
    # On plain HTTP, Chromium sends Sec-Fetch-Site only to this machine: by its name, it takes this one for another.
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM, args=[f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    )
    try:
        page = browser.new_page(locale=locale)
        page.goto(f"http://{NAME}:{variants['bare'].port}/ui/sign-in")
        sign_in(page)
        expect(page.get_by_role("alert")).to_contain_text(sentence)
    finally:
        browser.close()
