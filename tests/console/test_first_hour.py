"""The first hour on a new site: set-up, first steps, and the page of the site's state."""

import pytest

from api.access.site import PASSWORD
from console.conftest import DESK, PATIENCE_MS, PHONE, SCREENSHOTS, SUPERVISOR, serve
from machine_monitor.services.accounts import invitations

SCREENS = {"desk": DESK, "phone": PHONE}
LANGUAGES = ["en-GB", "fr-FR"]
SENTENCE = "neuf moutons violets dansent"

STATE = {
    "version": "1.2.0",
    "health": {"status": "failing", "faults": ["The counters are behind: run `mm check --fix`."]},
    "database": {"engine": "sqlite", "revision": "0008", "bytes": 48_200_000},
    "settings": {
        "timezone": "Europe/Paris",
        "unlisted": "on",
        "anonymous": "off",
        "require_if_match": False,
        "query_timeout": 5,
    },
    "sign_in_limits": {"window_seconds": 900, "per_account": 10, "per_address": 50},
    "records": {"logs": 12004, "machines": 40, "log_types": 7, "users": 12},
    "last_change": {"seq": 1, "at": "2026-11-20T10:00:00Z", "user": "ABE", "via": "session", "op": "update"},
    "last_backup": {"at": "2026-01-01T02:00:00Z", "bytes": 9_000_000},
}


@pytest.fixture(scope="module")
def new_site(site, tmp_path_factory):  # noqa: ARG001 -- skips if the console is not built
    """A service with an empty database: no user, no machine."""
    with serve(tmp_path_factory.mktemp("new") / "new.db") as new:
        yield new


@pytest.fixture
def first_link(new_site):
    """The link of the first admin, as `mm serve` prints it."""
    link = new_site.write(invitations.invite_first)
    if link is None:
        pytest.skip("the site has an admin")
    return link.url(new_site.address)


@pytest.fixture
def on_new_site(new_site, chromium):
    """Open a page of the new site in a browser that nobody used before."""
    contexts = []

    def open_page(path, **options):
        options = {"locale": "en-GB", "color_scheme": "light", "service_workers": "block", **options}
        context = chromium.new_context(base_url=new_site.address, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def shoot(page, name):
    page.evaluate("document.fonts.ready")
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.mark.timeout(180)
def test_the_first_hour(on_new_site, first_link, axe):  # noqa: PLR0915 -- one story, told in order
    page = on_new_site(first_link, **DESK)
    page.get_by_text("The first admin chooses one").wait_for()
    shoot(page, "first-setup-desk-en-light")
    page.get_by_label("Trigram").fill("ADM")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Activate my account").click()
    page.wait_for_url("**/ui/logs")
    page.get_by_text("0 of 4 done").wait_for()
    page.get_by_role("link", name="Write the first log").wait_for()
    page.get_by_text("mm sync /path/to/folder --dry-run").wait_for()
    assert page.get_by_role("link", name="Import a table").get_attribute("href") == "/ui/imports"
    assert axe(page) == []
    cookies = page.context.cookies()
    for screen, options in SCREENS.items():
        for locale in LANGUAGES:
            other = on_new_site("/ui/sign-in", locale=locale, **options)
            other.context.add_cookies(cookies)
            for name, path in (
                ("first-steps", "/ui/logs"),
                ("first-machines", "/ui/machines"),
                ("first-labels", "/ui/labels"),
            ):
                other.goto(path)
                other.wait_for_selector("main :is(ol, .empty)")
                other.wait_for_timeout(300)
                shoot(other, f"{name}-{screen}-{locale[:2]}-light")
                assert axe(other) == []
                assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")
            other.context.close()
    # The first machine, from the empty page of machines.
    page.get_by_role("link", name="Machines").first.click()
    page.get_by_role("button", name="Add the first machine").click()
    page.get_by_label("Name", exact=True).fill("Lathe 1")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Lathe 1").wait_for()
    # The first log.
    page.get_by_role("link", name="Logs", exact=True).click()
    page.get_by_text("1 of 4 done").wait_for()
    page.get_by_role("link", name="Write the first log").click()
    page.get_by_role("combobox", name="Machine").fill("Lathe")
    page.get_by_role("option", name="Lathe 1").click()
    page.get_by_role("radio").first.check()
    page.get_by_label("Description").fill("First words")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("2 of 4 done").wait_for()
    assert page.get_by_text("Invite the team").is_hidden()
    page.get_by_text("First steps").click()
    page.get_by_role("link", name="Add a person").click()
    # The first colleague, by QR code.
    page.get_by_label("Trigram").fill("NOO")
    page.get_by_role("button", name="Add a person").last.click()
    page.get_by_role("button", name="Create a link").click()
    page.get_by_role("img", name="QR code of the link").wait_for()
    assert len(page.locator(".code path").get_attribute("d")) > 1000
    assert axe(page) == []
    shoot(page, "invitation-desk-en-light")
    # Printing the labels is the last step: it closes the list of steps.
    page.get_by_role("link", name="Logs", exact=True).click()
    page.get_by_text("3 of 4 done").click()
    page.get_by_role("link", name="Choose labels").click()
    page.evaluate("window.print = () => {}")
    page.get_by_role("button", name="Choose all").click()
    page.get_by_role("button", name="Print 1 label").click()
    page.get_by_role("link", name="Logs", exact=True).click()
    page.get_by_text("First words").wait_for()
    page.wait_for_timeout(300)
    assert page.get_by_text("First steps").count() == 0
    assert page.evaluate("localStorage.getItem('mm.first-steps')") == "closed"


def test_set_up_says_at_its_field_that_the_first_admin_needs_a_trigram(opened):
    page = opened("/ui/setup#code=x", user=None)
    page.get_by_text("The first admin chooses one").wait_for()
    assert page.get_by_label("Trigram").get_attribute("required") is None
    refusal = (
        '{"code": "validation", "status": 422, "errors": [{"code": "required", "pointer": "/trigram", "message": ""}]}'
    )
    page.route(
        "**/setup",
        lambda route: (
            route.fulfill(status=422, content_type="application/problem+json", body=refusal)
            if route.request.method == "POST"
            else route.continue_()
        ),
    )
    page.get_by_label("New password").fill(SENTENCE)
    page.get_by_role("button", name="Activate my account").click()
    page.wait_for_selector("[name=trigram][aria-invalid=true][required]")
    page.get_by_text("Fill in this field.").wait_for()


def test_the_first_steps_are_hidden_for_good_and_absent_on_a_site_in_use(opened):
    page = opened("/ui/logs")
    page.wait_for_function("() => localStorage.getItem('mm.first-steps') === 'closed'")
    page.evaluate("localStorage.setItem('mm.first-steps', 'open')")
    page.reload()
    page.get_by_text("3 of 4 done").click()
    page.get_by_role("button", name="Hide this list").click()
    assert page.get_by_text("First steps").count() == 0
    page.reload()
    page.wait_for_selector("[data-uuid]")
    assert page.get_by_text("First steps").count() == 0
    page = opened("/ui/logs", user=SUPERVISOR)
    page.wait_for_selector("[data-uuid]")
    assert page.evaluate("localStorage.getItem('mm.first-steps')") is None


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("locale", LANGUAGES)
def test_the_site_page_shows_the_state_of_the_service(opened, axe, screen, locale):
    page = opened("/ui/admin/types", locale=locale, **SCREENS[screen])
    page.route("**/service", lambda route: route.fulfill(json=STATE))
    page.get_by_role("link", name="Site", exact=True).click()
    page.get_by_text("MM_TIMEZONE").wait_for()
    page.get_by_text("mm check --fix").wait_for()
    page.get_by_text({"en": "Older than two days", "fr": "Plus de deux jours"}[locale[:2]]).wait_for()
    shoot(page, f"site-{screen}-{locale[:2]}-light")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
