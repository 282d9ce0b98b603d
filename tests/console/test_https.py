"""Chromium with the authority of `mm serve --https` installed: a secure context, and a service worker."""

import shutil
import subprocess

import pytest

from console.conftest import CHROMIUM, PHONE, SCREENSHOTS
from machine_monitor.api.serving import console
from machine_monitor.api.serving.https import files
from servers import HttpsService, environment

CERTUTIL = shutil.which("certutil")
REGISTERED = "navigator.serviceWorker.ready.then((found) => found.active !== null)"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    if not (console.FOLDER / "index.html").is_file():
        pytest.skip("needs the console: `make console`")
    folder = tmp_path_factory.mktemp("https")
    with HttpsService(folder, database_url=f"sqlite:///{folder / 'plant.db'}") as started:
        yield started


@pytest.fixture
def launch(chromium, tmp_path):
    """A function that launches Chromium with a home of its own, where it looks for authorities."""
    opened = []

    def launched(authority=None, **options):
        home = tmp_path / f"home-{len(opened)}"
        store = home / ".pki/nssdb"
        store.mkdir(parents=True)
        if authority is not None:
            trust = ["-A", "-t", "C,,", "-n", "Machine Monitor", "-i", authority]
            for words in (["-N", "--empty-password"], trust):
                subprocess.run([CERTUTIL, "-d", f"sql:{store}", *words], check=True)
        variables = {**environment(), "HOME": str(home)}
        context = chromium.browser_type.launch_persistent_context(
            home / "profile", executable_path=CHROMIUM, env=variables, locale="en-GB", **PHONE, **options
        )
        opened.append(context)
        return context.new_page()

    yield launched
    for context in opened:
        context.close()


@pytest.mark.slow
@pytest.mark.skipif(CERTUTIL is None, reason="needs certutil, of libnss3-tools")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_browser_with_the_authority_works_offline(service, launch, host):
    page = launch(service.folder / files.PUBLIC)
    page.goto(f"https://{host}:{service.port}/ui/")
    assert page.evaluate("isSecureContext")
    assert page.evaluate(REGISTERED)
    page.reload()
    page.context.set_offline(True)
    page.reload()
    page.get_by_text("Machine Monitor").first.wait_for(state="attached")


@pytest.mark.slow
def test_a_browser_without_the_authority_warns(service, launch):
    page = launch()
    with pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
        page.goto(f"https://localhost:{service.port}/ui/")


@pytest.fixture(params=["en-GB", "fr-FR"])
def page(request, service, chromium):
    """The page for phones; a message of the browser, for example about its policy, is a failure."""
    context = chromium.new_context(**PHONE, locale=request.param)
    opened, problems = context.new_page(), []
    opened.on("console", lambda message: problems.append(message.text))
    opened.goto(f"http://127.0.0.1:{service.port + 1}/https")
    yield opened
    assert problems == []
    context.close()


@pytest.mark.slow
def test_the_page_for_phones_fits_their_screen(page):
    locale = page.evaluate("navigator.language")
    assert page.locator("html").get_attribute("lang") == locale[:2]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    button = page.locator("a.button").first
    assert button.evaluate("each => getComputedStyle(each).backgroundColor") == "rgb(20, 83, 45)"
    page.screenshot(path=SCREENSHOTS / f"https-phone-{locale[:2]}.png", full_page=True)
    with page.expect_download() as downloaded:
        button.click()
    assert downloaded.value.suggested_filename == files.PUBLIC


@pytest.mark.slow
def test_the_page_for_phones_is_accessible(page, axe):
    assert axe(page) == []
