"""The browser asks with the ETag that it has, and with the position of the last write that it has sent."""

import re

from console.conftest import OPERATOR
from console.test_log_form import MACHINE
from console.test_logs import ROW
from console.test_offline import wait_until
from machine_monitor.api.serving.metrics import PREFIX, REGISTRY

POSITION = "0/1A2B3C8"


def unchanged_lists():
    labels = {"method": "GET", "operation": "list_logs", "status": "304"}
    return REGISTRY.get_sample_value(f"{PREFIX}_requests_total", labels) or 0


def test_a_page_that_is_opened_again_gets_304(opened):
    page = opened("/ui/logs")
    page.wait_for_selector(ROW)
    before = unchanged_lists()
    page.reload()
    page.wait_for_selector(ROW)
    wait_until(lambda: unchanged_lists() > before)


def test_reads_name_what_the_last_write_was_answered(opened):
    """Where a standby answers reads, it then answers only if it has that write."""
    page = opened(f"/ui/new?machine={MACHINE}", user=OPERATOR)

    def add_position(route):
        response = route.fetch()
        route.fulfill(response=response, headers={**response.headers, "x-read-after": POSITION})

    page.route(re.compile("/logs/[0-9a-f-]{36}$"), add_position)
    page.get_by_role("radio", name="Breakdown", exact=True).check()
    page.locator("[name=comment]").fill("read after its write")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    with page.expect_request(lambda read: read.headers.get("x-read-after") == POSITION):
        page.get_by_role("button", name="Open").click()
