"""Swagger UI and ReDoc: the filled-in examples succeed as they are, and no press needs a long scroll."""

import pytest

from console.conftest import SCREENSHOTS, serve

# In this order: the PUT of a log creates what the PATCH and the restore change.
OPERATIONS = (
    ("logs", "create_log"),
    ("logs", "put_logs"),
    ("logs", "replace_log"),
    ("logs", "update_log"),
    ("machines", "create_machine"),
    ("machines", "replace_machine"),
    ("machines", "update_machine"),
    ("log_types", "create_log_type"),
    ("log_types", "replace_log_type"),
    ("log_types", "update_log_type"),
    ("users", "create_user"),
    ("users", "replace_user"),
    ("users", "update_user"),
    ("tokens", "create_token"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A service of its own, because the tests write into it."""
    with serve(tmp_path_factory.mktemp("swagger") / "plant.db", machines=12, logs=600) as running:
        yield running


@pytest.fixture
def swagger(opened, site):
    """Swagger UI with the token of the admin."""
    page = opened("/docs", user=None)
    page.get_by_role("button", name="Authorize").click()
    page.locator("#auth-bearer-value").fill(site.token)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    return page


def open_form(page, tag, operation):
    block = page.locator(f"#operations-{tag}-{operation}")
    block.locator(".opblock-summary-control").click()
    return block


def test_each_write_succeeds_with_its_example(swagger):
    for tag, operation in OPERATIONS:
        block = open_form(swagger, tag, operation)
        with swagger.expect_response(lambda response: response.request.method in ("POST", "PUT", "PATCH")) as responded:
            block.get_by_role("button", name="Execute").click()
        assert responded.value.ok, f"{operation}: {responded.value.text()}"
        block.locator(".opblock-summary-control").click()


def test_execute_is_in_view_without_scrolling(swagger):
    block = open_form(swagger, "logs", "list_logs")
    button = block.get_by_role("button", name="Execute")
    swagger.screenshot(path=SCREENSHOTS / "swagger-list-desk.png")
    box = button.bounding_box()
    assert 0 < box["y"] < swagger.viewport_size["height"]
    with swagger.expect_response("**/logs*") as responded:
        button.click()
    assert responded.value.ok
    # Defaults are sent, examples are not.
    assert responded.value.url.endswith("/logs?limit=50&count=none")


def test_redoc_shows_the_operations(chromium, site):
    # Not `opened`: the security policy blocks ReDoc's request for its logo, and the browser reports it.
    with chromium.new_page(base_url=site.address) as page:
        page.goto("/redoc")
        page.get_by_role("heading", name="Record an intervention").wait_for()
        page.screenshot(path=SCREENSHOTS / "redoc-desk.png")


def test_the_page_of_filters_is_accessible(opened, axe):
    page = opened("/docs/filters", user=None)
    page.screenshot(path=SCREENSHOTS / "filters-desk.png")
    assert axe(page) == []
