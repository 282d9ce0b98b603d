"""The first load: what a browser that has nothing in its cache must download before it shows a page."""

import gzip
import re
from urllib.parse import urlsplit

import pytest

from console.conftest import ADMIN
from machine_monitor.api.serving import console

MAX_SCRIPT = 60_000
# More than the console needs to find out what it loads next.
QUIET_MS = 400


def scripts_of(page):
    """Returns a list to which the scripts that the page requests are added."""
    scripts = []
    page.on("request", lambda request: scripts.append(request.url) if request.url.endswith(".js") else None)
    return scripts


def size(scripts):
    """The size of the scripts as gzip sends them; Brotli, which needs https, sends a tenth less."""
    files = [console.FOLDER / urlsplit(url).path.removeprefix("/ui/") for url in scripts]
    return sum(len(gzip.compress(file.read_bytes())) for file in files)


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_the_sign_in_page_loads_little_script(opened, locale):
    page = opened("/healthz", user=None, locale=locale)
    scripts = scripts_of(page)
    page.goto("/ui/")
    page.wait_for_selector("form")
    page.wait_for_timeout(QUIET_MS)
    # A size far below the limit would mean that the test measured the wrong files.
    assert MAX_SCRIPT / 2 < size(scripts) <= MAX_SCRIPT * 3 / 4


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_the_list_of_logs_loads_little_script_and_the_rest_afterwards(opened, locale):
    page = opened("/healthz", user=ADMIN, locale=locale)
    scripts, held = scripts_of(page), []
    # While the list waits for the logs, the page has all the script that it needs to show them.
    page.route(re.compile(r"/logs\?"), lambda route: held.append(route), times=1)  # noqa: PLW0108 -- needs attributes
    with page.expect_request(re.compile(r"/logs\?")):
        page.goto("/ui/")
    page.wait_for_timeout(QUIET_MS)
    first = list(scripts)
    assert MAX_SCRIPT / 2 < size(first) <= MAX_SCRIPT
    held[0].continue_()
    page.wait_for_selector("[data-uuid]")
    page.wait_for_selector(".outbox [data-ready=true]", state="attached")
    # The outbox and the forms are there as well then, before the user opens them.
    assert size(scripts) > size(first) + 20_000
