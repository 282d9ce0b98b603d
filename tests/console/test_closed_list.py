"""A site with `MM_UNLISTED=off`: logs name machines of its list only."""

import secrets

import pytest

from api.access.site import PASSWORD
from console.conftest import OPERATOR, PATIENCE_MS, serve
from console.test_unlisted import write_unlisted


@pytest.fixture
def on_closed_site(site, chromium, tmp_path):  # noqa: ARG001 -- skips if the console is not built
    """A page of an operator on a site that takes only machines of its list, and the site."""
    with serve(tmp_path / "closed.db", machines=3, logs=20, unlisted="off") as closed:
        context = chromium.new_context(base_url=closed.address, locale="en-GB", service_workers="block")
        assert context.request.post("/session", data={"trigram": OPERATOR, "password": PASSWORD}).ok
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto("/ui/")
        yield page, closed
        context.close()


def test_a_site_with_a_closed_list_says_so_at_the_field(on_closed_site):
    page, closed = on_closed_site
    name = f"Presse {secrets.token_hex(3)}"
    write_unlisted(page, name, "liste fermee")
    page.get_by_text("This site takes only machines of its list.").wait_for()
    assert page.get_by_label("Description").input_value() == "liste fermee"
    field = page.get_by_label("Machine").first
    assert field.get_attribute("aria-invalid") == "true"
    field.fill(f"{name} bis")
    page.wait_for_timeout(300)
    assert page.get_by_role("option").count() == 0
    # A machine of the list is taken, and nothing of the first attempt is left.
    machine = closed.call("GET", "/machines?limit=1")["items"][0]["name"]
    field.fill(machine)
    page.get_by_role("option", name=machine, exact=True).click()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    assert [log["machine"] for log in closed.call("GET", "/logs?q=liste+fermee")["items"]] == [machine]
    assert closed.call("GET", "/machines?listed=false")["items"] == []
