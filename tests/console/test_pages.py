"""Every page, on a desk and a phone, in both languages and themes: axe finds nothing, and there is a picture of it."""

import pytest

from console.conftest import ADMIN, DESK, PHONE, SCREENSHOTS

# A name, the address, who looks, and what shows that it is there.
PAGES = [
    ("sign-in", "/ui/sign-in", None, "form"),
    ("set-up", "/ui/setup#code=x", None, "form"),
    ("logs", "/ui/", ADMIN, "[data-uuid]"),
    ("logs-filtered", "/ui/logs?type=error&severity__gte=major&q=broche&started_at__gte=-1y", ADMIN, "mark"),
    ("logs-none", "/ui/logs?q=nowhere", ADMIN, "h2"),
    ("record", "/ui/logs/{uuid}?type=error", ADMIN, "section dl dd"),
    ("account", "/ui/account", ADMIN, "h1"),
    ("nowhere", "/ui/nowhere", ADMIN, "h1"),
]
SCREENS = {"desk": DESK, "phone": PHONE}
# Each language, theme and screen with each other, in half of the eight ways.
LOOKS = [
    ("desk", "en-GB", "light"),
    ("desk", "fr-FR", "dark"),
    ("phone", "en-GB", "dark"),
    ("phone", "fr-FR", "light"),
]


@pytest.fixture(scope="session")
def failure(site):
    """The newest failure of the plant."""
    return site.write(
        lambda tx: tx.cursor.execute(
            "SELECT uuid FROM logs WHERE type = 'error' AND down_from IS NOT NULL ORDER BY severity DESC LIMIT 1"
        ).fetchone()[0]
    )


@pytest.mark.parametrize(("screen", "locale", "theme"), LOOKS, ids="-".join)
@pytest.mark.parametrize(("name", "path", "user", "there"), PAGES, ids=[page[0] for page in PAGES])
def test_a_page_can_be_used_by_all(opened, axe, failure, name, path, user, there, screen, locale, theme):
    address = path.format(uuid=failure)
    page = opened(address, user=user, locale=locale, color_scheme=theme, reduced_motion="reduce", **SCREENS[screen])
    page.wait_for_selector(there)
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(100)
    page.screenshot(path=SCREENSHOTS / f"{name}-{screen}-{locale[:2]}-{theme}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert axe(page) == []


@pytest.mark.parametrize("name", ["Type", "Machine", "Date", "Views", "Export", "Columns"])
def test_an_open_menu_can_be_used_by_all(opened, axe, name):
    page = opened("/ui/logs?type=error")
    page.get_by_role("button", name=name).first.click()
    page.wait_for_selector(".panel :is(input, p, a)")
    page.screenshot(path=SCREENSHOTS / f"menu-{name.lower()}-desk-en-light.png")
    assert axe(page) == []
    page.keyboard.press("Escape")
    assert page.locator(".panel").count() == 0
    assert page.evaluate("document.activeElement.textContent").startswith(name)
