"""Writing and mending logs in a browser: in few presses, at the right fields, by who may."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from console.conftest import ADMIN, DESK, LEAD, OPERATOR, PHONE, SCREENSHOTS, SUPERVISOR, VIEWER

MACHINE = "Tour CN 1"
KEPT = "[data-kept=true]"
NEW = f"/ui/new?machine={MACHINE}"


def add_log(site, **values):
    return site.call("POST", "/logs", **{"machine": MACHINE, "type": "info", **values})["uuid"]


def newest(site, words):
    """The newest log of these words."""
    return site.call("GET", f"/logs?q=%22{words}%22&limit=1")["items"][0]


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_a_log_takes_three_presses_and_two_words(opened, site, screen):
    page = opened("/ui/logs?type=error", user=OPERATOR, **screen)
    page.wait_for_selector("[data-uuid]")
    begun = datetime.now(UTC)
    page.get_by_role("link", name="New log").click()
    page.get_by_role("group", name="Recent machines").get_by_role("button").first.click()
    page.get_by_role("radio", name="Error", exact=True).check()
    assert page.evaluate("document.activeElement.name") == "comment"
    words = f"broche bruyante {len(screen)}"
    page.keyboard.type(words)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log written.").wait_for()
    took = datetime.now(UTC) - begun
    assert page.url.endswith("/ui/logs?type=error")
    log = newest(site, words)
    assert (log["type"], log["user"], log["status"], log["down_from"]) == ("error", OPERATOR, "done", None)
    assert begun - timedelta(seconds=1) <= datetime.fromisoformat(log["started_at"]) <= datetime.now(UTC)
    # A person adds their own seconds to those of the machine.
    assert took < timedelta(seconds=5)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"**/ui/logs/{log['uuid']}")


def test_the_keyboard_is_enough_to_write(opened, site):
    page = opened("/ui/", user=OPERATOR)
    page.wait_for_selector("[data-uuid]")
    page.keyboard.press("n")
    page.wait_for_selector("[name=machine]")
    page.keyboard.type("fraiseuse 1")
    page.get_by_role("option", name="Fraiseuse 1").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("radio", name="Cleaning").focus()
    page.keyboard.press("Space")
    page.keyboard.type("nettoyage au clavier")
    page.keyboard.press("Control+Enter")
    page.get_by_text("Log written.").wait_for()
    log = newest(site, "nettoyage au clavier")
    assert (log["machine"], log["type"]) == ("Fraiseuse 1", "cleaning")


def test_a_code_on_a_machine_leads_to_its_new_log(opened, site):
    known = site.call("GET", f"/machines/{MACHINE}")
    page = opened(f"/ui/m/{known['id']}", user=OPERATOR, **PHONE)
    page.get_by_text(MACHINE).wait_for()
    page.wait_for_selector("[name=comment]:focus")
    assert page.url.endswith("/ui/new?machine=Tour%20CN%201")


def test_the_stop_of_a_machine_is_one_switch_that_ends_it_later(opened, site):
    page = opened(NEW, user=OPERATOR, **PHONE)
    page.get_by_role("switch").click()
    page.get_by_text(re.compile("^Since .* · 0 min")).wait_for()
    page.get_by_role("radio", name="Error", exact=True).check()
    page.get_by_label("Seen").fill("arret par bouton")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Open").click()
    log = newest(site, "arret par bouton")
    assert (log["status"], log["down_to"]) == ("open", None)
    switch = page.get_by_role("switch", name="Machine stopped")
    assert switch.get_attribute("aria-checked") == "true"
    switch.click()
    page.get_by_text("The machine runs again.").wait_for()
    assert site.call("GET", f"/logs/{log['uuid']}")["down_to"] is not None
    page.get_by_role("button", name="Undo").first.click()
    page.wait_for_selector("[role=switch][aria-checked=true]")
    assert site.call("GET", f"/logs/{log['uuid']}")["down_to"] is None


def test_what_is_missing_and_what_is_wrong_stands_at_its_field(opened):
    page = opened("/ui/new", user=SUPERVISOR)
    page.get_by_role("button", name="Send").click()
    assert page.locator("[name=machine]").get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.name") == "machine"
    page.keyboard.type("No such machine")
    page.get_by_role("radiogroup", name="Type").get_by_role("radio", name="Info", exact=True).check()
    page.get_by_role("button", name="More").click()
    page.get_by_label("Began").fill("2026-03-02T10:00")
    page.get_by_label("Ended").fill("2026-03-02T09:00")
    page.get_by_role("combobox", name="Who").fill("ZZZ")
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("[name=ended_at][aria-invalid=true]")
    page.get_by_label("Ended").fill("2026-03-02T11:00")
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("[name=user][aria-invalid=true]")
    assert page.locator("[name=ended_at]").get_attribute("aria-invalid") == "false"
    # Thrown away, so that the next test finds nothing.
    page.goto("/ui/waiting")
    page.get_by_role("button", name="Throw away").click()
    page.get_by_role("dialog").get_by_role("button", name="Throw away").click()
    page.get_by_text("All is sent.").wait_for()


def test_times_are_those_of_the_site(opened, site):
    page = opened(NEW, user=SUPERVISOR, timezone_id="America/New_York")
    page.get_by_role("radiogroup", name="Type").get_by_role("radio", name="Info", exact=True).check()
    page.get_by_label("Seen").fill("heures du site")
    page.get_by_role("button", name="More").click()
    page.get_by_label("Began").fill("2026-03-02T10:00")
    page.get_by_role("combobox", name="Who").fill(OPERATOR)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log written.").wait_for()
    log = newest(site, "heures du site")
    assert (log["started_at"], log["user"]) == ("2026-03-02T09:00:00Z", OPERATOR)


@pytest.mark.parametrize(
    ("user", "author", "hours", "may"),
    [
        (VIEWER, OPERATOR, 1, False),
        (OPERATOR, OPERATOR, 1, True),
        (OPERATOR, OPERATOR, 25, False),
        (OPERATOR, LEAD, 1, False),
        (LEAD, OPERATOR, 25, True),
        (LEAD, LEAD, 25, True),
        (LEAD, SUPERVISOR, 1, False),
        (SUPERVISOR, ADMIN, 25, True),
    ],
)
def test_what_one_may_not_edit_is_not_offered(opened, site, user, author, hours, may):
    uuid = add_log(site, user=author, status="open", comment="Whose?")
    page = opened("/ui/account", user=user)
    page.clock.set_fixed_time(datetime.now() + timedelta(hours=hours))  # noqa: DTZ005 -- the browser's clock
    page.goto(f"/ui/logs/{uuid}")
    page.get_by_role("region", name="Log", exact=True).get_by_text("Whose?").wait_for()
    assert (page.get_by_role("button", name="Edit").count() == 1) is may
    assert (page.get_by_role("switch").count() == 1) is may


def test_who_only_reads_is_offered_no_new_log(opened, site):
    page = opened("/ui/", user=VIEWER)
    page.wait_for_selector("[data-uuid]")
    assert page.get_by_role("link", name="New log").count() == 0
    page.keyboard.press("n")
    page.goto("/ui/new")
    page.get_by_text("Your role reads logs.").wait_for()
    assert page.locator("form").count() == 0
    known = site.call("GET", f"/machines/{MACHINE}")
    page.goto(f"/ui/m/{known['id']}")
    page.wait_for_url("**/ui/machines/Tour%20CN%201")


def test_who_is_not_a_supervisor_writes_as_oneself(opened):
    page = opened(NEW, user=LEAD)
    page.get_by_role("button", name="More").click()
    page.get_by_label("Why").wait_for()
    assert page.locator("[name=user]").count() == 0


def test_an_edit_changes_what_was_changed_and_is_kept_as_it_is_typed(opened, site):
    uuid = add_log(site, comment="avant", cause="usure")
    page = opened(f"/ui/logs/{uuid}")
    page.get_by_role("heading", name=MACHINE).wait_for()
    page.keyboard.press("e")
    page.get_by_label("Seen").fill("après")
    page.wait_for_selector(KEPT)
    page.reload()
    page.get_by_role("button", name="Edit").click()
    assert page.get_by_label("Seen").input_value() == "après"
    page.get_by_label("Why").fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.", exact=True).wait_for()
    log = site.call("GET", f"/logs/{uuid}")
    assert (log["comment"], log["cause"], log["version"]) == ("après", None, 2)
    assert page.evaluate("document.activeElement.textContent") == "Edit"


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_two_editors_see_both_versions_and_lose_neither(opened, site, axe, screen):
    uuid = add_log(site, comment="la broche chauffe", severity="minor")
    page = opened(f"/ui/logs/{uuid}", **screen)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Seen").fill("la broche chauffe et siffle")
    page.get_by_label("Why").fill("roulement usé")
    site.call("PATCH", f"/logs/{uuid}", comment="la broche chauffe à 80 °C", severity="critical")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Somebody was faster").wait_for()
    assert site.call("GET", f"/logs/{uuid}")["version"] == 2
    save = page.get_by_role("button", name="Save this")
    assert save.is_disabled()
    page.get_by_role("group", name="Seen").get_by_role("radio", name="Both, edited").check()
    page.get_by_role("textbox", name="Both, edited").fill("la broche chauffe à 80 °C et siffle")
    page.screenshot(path=SCREENSHOTS / f"merge-{'phone' if screen is PHONE else 'desk'}-en-light.png")
    assert axe(page) == []
    save.click()
    page.get_by_text("Saved.", exact=True).wait_for()
    log = site.call("GET", f"/logs/{uuid}")
    assert log["comment"] == "la broche chauffe à 80 °C et siffle"
    assert (log["cause"], log["severity"], log["version"]) == ("roulement usé", "critical", 3)


@pytest.mark.parametrize(("screen", "locale", "theme"), [("phone", "fr-FR", "light"), ("desk", "en-GB", "dark")])
def test_the_whole_form_can_be_used_by_all(opened, axe, screen, locale, theme):
    page = opened(
        "/ui/new", user=SUPERVISOR, locale=locale, color_scheme=theme, **{"phone": PHONE, "desk": DESK}[screen]
    )
    page.wait_for_selector("[name=comment]")
    page.get_by_role("group", name=re.compile("^(Recent|Machines récentes)")).wait_for()
    page.screenshot(path=SCREENSHOTS / f"new-log-{screen}-{locale[:2]}-{theme}.png")
    assert axe(page) == []
    page.locator(".recent button").first.click()
    page.get_by_role("radio", name=re.compile("^(Error|Panne)$")).check()
    page.get_by_role("switch").click()
    page.get_by_label(re.compile("^(Seen|Constat)$")).fill("Broche bruyante à 4 000 tr/min")
    page.wait_for_selector(KEPT)
    page.screenshot(path=SCREENSHOTS / f"new-log-filled-{screen}-{locale[:2]}-{theme}.png")
    page.get_by_role("button", name=re.compile("^(More|Plus)")).click()
    page.locator("[name=user]").scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / f"new-log-more-{screen}-{locale[:2]}-{theme}.png")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if screen == "phone":
        heights = page.eval_on_selector_all(
            "form :is(button, label:has([type=radio]), textarea, input:not([type=radio]))",
            "all => all.map(one => one.getBoundingClientRect().height)",
        )
        assert min(heights) >= 44


@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_the_edit_form_can_be_used_by_all(opened, site, axe, screen):
    uuid = add_log(site, comment="Porte bloquée", cause="Copeaux", status="open", down_from="2026-11-20T08:00:00Z")
    page = opened(f"/ui/logs/{uuid}", locale="fr-FR", **{"phone": PHONE, "desk": DESK}[screen])
    page.wait_for_selector("[role=switch]")
    page.screenshot(path=SCREENSHOTS / f"record-stopped-{screen}-fr-light.png")
    page.get_by_role("button", name="Modifier").click()
    page.wait_for_selector("[name=cause]")
    page.screenshot(path=SCREENSHOTS / f"edit-{screen}-fr-light.png")
    assert axe(page) == []
