"""The browser asks with the ETag that it has: a page that is opened again costs the service almost nothing."""

from console.test_logs import ROW
from machine_monitor.api.serving.metrics import PREFIX, REGISTRY


def unchanged_lists():
    labels = {"method": "GET", "operation": "list_logs", "status": "304"}
    return REGISTRY.get_sample_value(f"{PREFIX}_requests_total", labels) or 0


def test_a_page_that_is_opened_again_gets_304(opened):
    page = opened("/ui/logs")
    page.wait_for_selector(ROW)
    before = unchanged_lists()
    with page.expect_response(lambda response: "/logs?" in response.url) as answered:
        page.reload()
    answered.value.finished()
    page.wait_for_selector(ROW)
    assert unchanged_lists() > before
