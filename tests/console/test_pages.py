"""Check every page with axe and take screenshots: desktop and phone, both languages, both themes."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from console.conftest import ADMIN, DESK, OPERATOR, PHONE, SCREENSHOTS

# A name, the address, the user, and a selector that is present once the page is loaded.
PAGES = [
    ("sign-in", "/ui/sign-in", None, "form"),
    ("set-up", "/ui/setup#code=x", None, "form"),
    ("logs", "/ui/", ADMIN, "[data-uuid]"),
    ("logs-filtered", "/ui/logs?type=error&severity__gte=major&q=broche&started_at__gte=-1y", ADMIN, "mark"),
    ("logs-none", "/ui/logs?q=nowhere", ADMIN, "h2"),
    ("record", "/ui/logs/{uuid}?type=error", ADMIN, "section dl dd"),
    ("new-log", "/ui/new", ADMIN, "[name=comment]"),
    ("edit-log", "/ui/logs/{uuid}?edit", ADMIN, "[name=cause]"),
    ("machines", "/ui/machines", ADMIN, "[data-machine]"),
    ("machines-none", "/ui/machines?q=nowhere", ADMIN, "main h2"),
    ("new-machine", "/ui/machines?add", ADMIN, "dialog [name=name]"),
    ("machine", "/ui/machines/{name}", ADMIN, "[data-uuid]"),
    ("machine-days", "/ui/machines/{name}?started_at__gte={since}&started_at__lte={until}", ADMIN, "[data-uuid]"),
    ("machine-form", "/ui/machines/{name}?edit", ADMIN, "dialog [name=name]"),
    ("labels", "/ui/labels?name={name}", ADMIN, ".sheet img"),
    ("labels-none", "/ui/labels", ADMIN, "main h2"),
    ("sheet", "/ui/m/{id}", ADMIN, "footer button"),
    ("week", "/ui/week", ADMIN, "[data-figure]"),
    ("week-not-begun", "/ui/week?from=2090-01-01&to=2090-01-02", ADMIN, "main h2"),
    ("wall", "/ui/wall", ADMIN, "#pareto"),
    ("waiting", "/ui/waiting", ADMIN, "h2"),
    ("account", "/ui/account", ADMIN, "h1"),
    ("password", "/ui/account/password", ADMIN, "form"),
    ("my-tokens", "/ui/account/tokens", ADMIN, "main li"),
    ("my-tokens-none", "/ui/account/tokens", OPERATOR, "h2"),
    ("people", "/ui/admin/people", ADMIN, "[data-key=ABE]"),
    ("people-none", "/ui/admin/people?q=zzz", ADMIN, "main h2"),
    ("person", "/ui/admin/people/TWH", ADMIN, "form"),
    ("new-person", "/ui/admin/new-person", ADMIN, "form"),
    ("tokens", "/ui/admin/tokens", ADMIN, "main li"),
    ("new-token", "/ui/admin/new-token", ADMIN, "form"),
    ("types", "/ui/admin/types", ADMIN, "[data-key=error]"),
    ("type", "/ui/admin/types/error", ADMIN, "form"),
    ("new-type", "/ui/admin/new-type", ADMIN, "form"),
    ("site", "/ui/admin/site", ADMIN, ".state"),
    ("imports", "/ui/imports", ADMIN, "input[type=file]"),
    ("not-allowed", "/ui/admin/people", OPERATOR, "main h1"),
    ("nowhere", "/ui/nowhere", ADMIN, "h1"),
]
SCREENS = {"desk": DESK, "phone": PHONE}


@pytest.fixture(scope="session")
def busiest(site):
    """The machine with the most logs."""
    name = site.call("GET", "/logs/facets?by=machine&limit=1")["facets"]["machine"][0]["value"]
    return site.call("GET", f"/machines/{quote(name)}")


@pytest.fixture(scope="session")
def failure(site):
    """The UUID of the most severe failure with a machine stop."""
    return site.write(
        lambda tx: tx.cursor.execute(
            "SELECT uuid FROM logs WHERE type = 'error' AND down_from IS NOT NULL ORDER BY severity DESC LIMIT 1"
        ).fetchone()[0]
    )


def visit(page, address):
    """Go to an address as a link of the console does: its files and axe stay loaded."""
    page.evaluate(
        "(address) => { history.pushState(null, '', address); dispatchEvent(new PopStateEvent('popstate')); }", address
    )


# The theme changes colours only, so the second one is checked for nothing else.
THEMES = {"light": None, "dark": ["color-contrast"]}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
def test_every_page_is_accessible(opened, axe, failure, busiest, language, screen):
    today = datetime.now(UTC).date()
    days = {"since": today - timedelta(days=80), "until": today - timedelta(days=20)}
    pages, violations = {}, {}
    for name, path, user, selector in PAGES:
        address = path.format(uuid=failure, name=quote(busiest["name"]), id=busiest["id"], **days)
        if user in pages:
            visit(pages[user], address)
        else:
            options = {"locale": language, "reduced_motion": "reduce", **SCREENS[screen]}
            pages[user] = opened(address, user=user, **options)
        page = pages[user]
        page.wait_for_selector(selector)
        page.evaluate("document.fonts.ready")
        violations[name] = []
        for theme, rules in THEMES.items():
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(50)
            page.screenshot(path=SCREENSHOTS / f"{name}-{screen}-{language[:2]}-{theme}.png")
            violations[name] += axe(page, rules)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            violations[name].append("is wider than the screen")
    assert {name: texts for name, texts in violations.items() if texts} == {}
    assert len(violations) == len(PAGES)


def test_open_menus_are_accessible(opened, axe):
    page = opened("/ui/logs?type=error")
    for name in ("Type", "Machine", "Date", "Views", "Export", "Columns"):
        page.get_by_role("button", name=name).first.click()
        page.wait_for_selector(".panel :is(input, p, a)")
        page.screenshot(path=SCREENSHOTS / f"menu-{name.lower()}-desk-en-light.png")
        assert axe(page) == []
        page.keyboard.press("Escape")
        assert page.locator(".panel").count() == 0
        assert page.evaluate("document.activeElement.textContent").startswith(name)
