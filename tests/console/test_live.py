"""The live view comes back by itself after any response of the service or of a proxy, and misses nothing meanwhile."""

import re

import pytest

from api.access.site import PASSWORD
from console.conftest import VIEWER

NEW = "/ui/new?machine=Tour CN 1"
HTML = {"content_type": "text/html", "body": "<h1>Bad gateway</h1>"}
FAILURES = {
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "500": {"status": 500},
    "502": {"status": 502, **HTML},
    "html": {"status": 200, **HTML},
    "410": {"status": 410},
    "cut": {"status": 200, "content_type": "text/event-stream", "body": ""},
}
REPLACED = 'event: replaced\nid: 0-0000000000000000\ndata: {"code": "history-replaced"}\n\n'
LIVE = ".live.on"
EVENTS = re.compile("/events$")


def add_log(site, comment):
    return site.call("POST", "/logs", machine="Tour CN 1", type="info", comment=comment)["uuid"]


def comment_on(site, uuid, comment):
    site.call("PATCH", f"/logs/{uuid}", comment=comment)


@pytest.fixture
def log(site):
    """A log on top of the list."""
    uuid = add_log(site, "Before the failure")
    yield uuid
    site.call("DELETE", f"/logs/{uuid}")


def open_live_list(opened, **options):
    page = opened("/ui/logs", refusals=(429, 500, 502), **options)
    page.locator(LIVE).wait_for(state="attached")
    return page


def drop_connection(page, response=None):
    """Make the page connect anew, as after a short loss of the network. All new connections get this response."""
    if response is not None:
        page.route(EVENTS, lambda route: route.fulfill(**response))
    hide(page, hidden=True)
    with page.expect_request(EVENTS):
        hide(page, hidden=False)


def connects_without_position(request):
    return EVENTS.search(request.url) and "last-event-id" not in request.headers


def hide(page, *, hidden):
    """Act as if the user switched to another tab, or back."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_the_live_view_comes_back_and_shows_what_it_missed(opened, site, log, failure):
    page = open_live_list(opened)
    page.get_by_text("Before the failure").first.wait_for()
    drop_connection(page, FAILURES[failure])
    page.locator(LIVE).wait_for(state="detached")
    comment_on(site, log, f"Changed during {failure}")
    page.unroute(EVENTS)
    page.locator(LIVE).wait_for(state="attached")
    page.get_by_text(f"Changed during {failure}").first.wait_for()


def test_without_a_stream_the_console_polls(opened, site, log):
    page = open_live_list(opened)
    # Any change, so that the page knows where the history stands.
    comment_on(site, log, "Seen live")
    page.get_by_text("Seen live").first.wait_for()
    drop_connection(page, FAILURES["429"])
    comment_on(site, log, "Seen by polling")
    page.get_by_text("Seen by polling").first.wait_for()
    assert page.locator(LIVE).count() == 0


def test_after_a_replaced_history_the_list_is_loaded_again_and_drafts_stay(opened, log):
    page = opened(NEW)
    page.locator("[name=comment]").fill("Half a sentence")
    page.wait_for_selector("[data-draft-saved=true]")
    page.goto("/ui/logs")
    page.locator(LIVE).wait_for(state="attached")
    page.locator(f"[data-uuid='{log}']").wait_for()
    # The old position is of no use in the new history.
    with page.expect_request(connects_without_position):
        drop_connection(page, {"status": 200, "content_type": "text/event-stream", "body": REPLACED})
    with page.expect_response(re.compile(r"/logs\?")):
        page.unroute(EVENTS)
    page.locator(LIVE).wait_for(state="attached")
    page.goto(NEW)
    page.wait_for_function("() => document.querySelector('[name=comment]')?.value === 'Half a sentence'")


def test_after_signing_in_again_the_view_is_live_again(opened):
    page = opened("/ui/sign-in", user=None)
    sign_in(page)
    page.locator(LIVE).wait_for(state="attached")
    page.context.clear_cookies()
    drop_connection(page)
    sign_in(page)
    page.locator(LIVE).wait_for(state="attached")


def sign_in(page):
    page.get_by_label("Trigram").fill(VIEWER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
