"""Check every page with axe and take screenshots: desktop and phone, both languages, both themes."""

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
    ("not-allowed", "/ui/admin/people", OPERATOR, "main h1"),
    ("nowhere", "/ui/nowhere", ADMIN, "h1"),
]
SCREENS = {"desk": DESK, "phone": PHONE}


@pytest.fixture(scope="session")
def failure(site):
    """The UUID of the most severe failure with a machine stop."""
    return site.write(
        lambda tx: tx.cursor.execute(
            "SELECT uuid FROM logs WHERE type = 'error' AND down_from IS NOT NULL ORDER BY severity DESC LIMIT 1"
        ).fetchone()[0]
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
def test_every_page_is_accessible(opened, axe, failure, language, screen):
    # One browser page for each user visits all addresses, so that shared files load once.
    pages, found = {}, {}
    for name, path, user, selector in PAGES:
        address = path.format(uuid=failure)
        if user in pages:
            pages[user].goto(address)
        else:
            options = {"locale": language, "reduced_motion": "reduce", **SCREENS[screen]}
            pages[user] = opened(address, user=user, **options)
        page = pages[user]
        page.wait_for_selector(selector)
        page.evaluate("document.fonts.ready")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(50)
            page.screenshot(path=SCREENSHOTS / f"{name}-{screen}-{language[:2]}-{theme}.png")
            # Check each language and each theme once: the results of axe for one do not depend on the other.
            if (language[:2], theme) in {("en", "light"), ("fr", "dark")}:
                found[name] = axe(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[name].append("is wider than the screen")
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert len(found) == len(PAGES)


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
