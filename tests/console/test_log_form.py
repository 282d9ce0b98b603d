"""Writing and editing logs in a browser: few clicks, errors at their fields, and only with the right role."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from console.conftest import ADMIN, DESK, LEAD, OPERATOR, PHONE, SCREENSHOTS, SUPERVISOR, VIEWER
from console.test_offline import wait_until

MACHINE = "Tour CN 1"
DRAFT_SAVED = "[data-draft-saved=true]"
NEW = f"/ui/new?machine={MACHINE}"


def add_log(site, **values):
    return site.call("POST", "/logs", **{"machine": MACHINE, "type": "info", **values})["uuid"]


def shift_service_clock(page, hours):
    """Let the service's responses say that it is later. The console believes them, not the device."""

    def shift(route):
        response = route.fetch()
        date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
        route.fulfill(response=response, headers={**response.headers, "date": date})

    page.route(re.compile(r"/(me|logs(/[0-9a-f-]{36}(/history)?)?|log-types)(\?.*)?$"), shift)


def newest(site, words):
    """The newest log that contains these words."""
    return site.call("GET", f"/logs?q=%22{words}%22&limit=1")["items"][0]


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_writing_a_log_takes_three_clicks(opened, site, screen):
    page = opened("/ui/logs?type=error", user=OPERATOR, **screen)
    page.wait_for_selector("[data-uuid]")
    begun = datetime.now(UTC)
    page.get_by_role("link", name="New log").click()
    page.get_by_role("group", name="Recent machines").get_by_role("button").first.click()
    page.get_by_role("radio", name="Breakdown", exact=True).check()
    assert page.evaluate("document.activeElement.name") == "comment"
    words = f"broche bruyante {len(screen)}"
    page.keyboard.type(words)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    took = datetime.now(UTC) - begun
    assert page.url.endswith("/ui/logs?type=error")
    log = newest(site, words)
    assert (log["type"], log["user"], log["status"], log["down_from"]) == ("error", OPERATOR, "done", None)
    assert begun - timedelta(seconds=1) <= datetime.fromisoformat(log["started_at"]) <= datetime.now(UTC)
    # The time of the console itself; a person needs some more.
    assert took < timedelta(seconds=5)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"**/ui/logs/{log['uuid']}")


def test_a_log_can_be_written_by_keyboard_alone(opened, site):
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
    page.get_by_text("Log sent.").wait_for()
    log = newest(site, "nettoyage au clavier")
    assert (log["machine"], log["type"]) == ("Fraiseuse 1", "cleaning")


def test_one_switch_starts_and_ends_a_machine_stop(opened, site):
    page = opened(NEW, user=OPERATOR, **PHONE)
    page.get_by_role("switch").click()
    page.get_by_text(re.compile("^Since .* · 0 min")).wait_for()
    page.get_by_role("radio", name="Breakdown", exact=True).check()
    page.get_by_label("Description").fill("arret par bouton")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Open").click()
    log = newest(site, "arret par bouton")
    assert (log["status"], log["down_to"]) == ("open", None)
    switch = page.get_by_role("switch", name="Machine stopped")
    assert switch.get_attribute("aria-checked") == "true"
    switch.click()
    page.get_by_text("The machine is running again.").wait_for()
    assert site.call("GET", f"/logs/{log['uuid']}")["down_to"] is not None
    page.get_by_role("button", name="Undo").first.click()
    page.wait_for_selector("[role=switch][aria-checked=true]")
    wait_until(lambda: site.call("GET", f"/logs/{log['uuid']}")["down_to"] is None)


def test_missing_and_invalid_values_are_reported_at_their_fields(opened):
    page = opened("/ui/new", user=SUPERVISOR)
    page.locator("[name=machine]").wait_for()
    page.get_by_role("button", name="Send").click()
    assert page.locator("[name=machine]").get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.name") == "machine"
    page.keyboard.type("No such machine")
    page.get_by_role("radiogroup", name="Type").get_by_role("radio", name="Info", exact=True).check()
    page.get_by_role("button", name="More").click()
    page.get_by_label("Started", exact=True).fill("2026-03-02T10:00")
    page.get_by_label("Ended").fill("2026-03-02T09:00")
    page.get_by_role("combobox", name="Author").fill("ZZZ")
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("[name=ended_at][aria-invalid=true]")
    page.get_by_label("Ended").fill("2026-03-02T11:00")
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("[name=user][aria-invalid=true]")
    assert page.locator("[name=ended_at]").get_attribute("aria-invalid") == "false"
    # Delete the refused log, so that the next test starts with an empty outbox.
    page.goto("/ui/waiting")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Everything is sent.").wait_for()


def test_times_are_in_the_time_zone_of_the_site(opened, site):
    page = opened(NEW, user=SUPERVISOR, timezone_id="America/New_York")
    page.get_by_role("radiogroup", name="Type").get_by_role("radio", name="Info", exact=True).check()
    page.get_by_label("Description").fill("heures du site")
    page.get_by_role("button", name="More").click()
    page.get_by_label("Started", exact=True).fill("2026-03-02T10:00")
    page.get_by_role("combobox", name="Author").fill(OPERATOR)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    log = newest(site, "heures du site")
    assert (log["started_at"], log["user"]) == ("2026-03-02T09:00:00Z", OPERATOR)


@pytest.mark.parametrize(
    ("user", "author", "hours", "allowed"),
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
def test_editing_is_offered_only_where_the_api_allows_it(opened, site, user, author, hours, allowed):
    uuid = add_log(site, user=author, status="open", comment="Whose?")
    page = opened("/ui/account", user=user)
    shift_service_clock(page, hours)
    page.goto(f"/ui/logs/{uuid}")
    page.get_by_role("region", name="Log", exact=True).get_by_text("Whose?").wait_for()
    assert (page.get_by_role("button", name="Edit").count() == 1) is allowed
    assert (page.get_by_role("switch").count() == 1) is allowed


def test_a_viewer_is_not_offered_a_new_log(opened, site):
    page = opened("/ui/", user=VIEWER)
    page.wait_for_selector("[data-uuid]")
    assert page.get_by_role("link", name="New log").count() == 0
    page.keyboard.press("n")
    page.goto("/ui/new")
    page.get_by_text("Your role can only read logs.").wait_for()
    assert page.locator("form").count() == 0
    machine = site.call("GET", f"/machines/{MACHINE}")
    page.goto(f"/ui/m/{machine['id']}")
    page.wait_for_url("**/ui/machines/Tour%20CN%201")


def test_only_supervisors_can_choose_the_author(opened):
    page = opened(NEW, user=LEAD)
    page.get_by_role("button", name="More").click()
    page.get_by_label("Cause").wait_for()
    assert page.locator("[name=user]").count() == 0


def test_an_edit_changes_only_edited_fields_and_its_draft_survives_a_reload(opened, site):
    uuid = add_log(site, comment="avant", cause="usure")
    page = opened(f"/ui/logs/{uuid}")
    page.get_by_role("heading", name=MACHINE).wait_for()
    page.keyboard.press("e")
    page.get_by_label("Description").fill("après")
    page.wait_for_selector(DRAFT_SAVED)
    page.reload()
    page.get_by_role("button", name="Edit").click()
    assert page.get_by_label("Description").input_value() == "après"
    page.get_by_label("Cause").fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.", exact=True).wait_for()
    log = site.call("GET", f"/logs/{uuid}")
    assert (log["comment"], log["cause"], log["version"]) == ("après", None, 2)
    assert page.evaluate("document.activeElement.textContent") == "Edit"


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_conflicting_edits_are_merged_field_by_field(opened, site, axe, screen):
    uuid = add_log(site, comment="la broche chauffe", severity="minor")
    page = opened(f"/ui/logs/{uuid}", **screen)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Description").fill("la broche chauffe et siffle")
    page.get_by_label("Cause").fill("roulement usé")
    site.call("PATCH", f"/logs/{uuid}", comment="la broche chauffe à 80 °C", severity="critical")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Someone else changed this log").wait_for()
    assert site.call("GET", f"/logs/{uuid}")["version"] == 2
    save = page.get_by_role("button", name="Save the result")
    assert save.is_disabled()
    page.get_by_role("group", name="Description").get_by_role("radio", name="Combine both").check()
    page.get_by_role("textbox", name="Combine both").fill("la broche chauffe à 80 °C et siffle")
    page.screenshot(path=SCREENSHOTS / f"merge-{'phone' if screen is PHONE else 'desk'}-en-light.png")
    assert axe(page) == []
    save.click()
    page.get_by_text("Saved.", exact=True).wait_for()
    log = site.call("GET", f"/logs/{uuid}")
    assert log["comment"] == "la broche chauffe à 80 °C et siffle"
    assert (log["cause"], log["severity"], log["version"]) == ("roulement usé", "critical", 3)


@pytest.mark.parametrize(("screen", "locale", "theme"), [("phone", "fr-FR", "light"), ("desk", "en-GB", "dark")])
def test_the_log_form_is_accessible(opened, axe, screen, locale, theme):
    page = opened(
        "/ui/new", user=SUPERVISOR, locale=locale, color_scheme=theme, **{"phone": PHONE, "desk": DESK}[screen]
    )
    page.wait_for_selector("[name=comment]")
    page.get_by_role("group", name=re.compile("^(Recent|Machines récentes)")).wait_for()
    page.screenshot(path=SCREENSHOTS / f"new-log-{screen}-{locale[:2]}-{theme}.png")
    assert axe(page) == []
    page.locator(".recent button").first.click()
    page.get_by_role("radio", name=re.compile("^(Breakdown|Panne)$")).check()
    page.get_by_role("switch").click()
    page.get_by_label(re.compile("^(Description|Constat)$")).fill("Broche bruyante à 4 000 tr/min")
    page.wait_for_selector(DRAFT_SAVED)
    page.screenshot(path=SCREENSHOTS / f"new-log-filled-{screen}-{locale[:2]}-{theme}.png")
    page.get_by_role("button", name=re.compile("^(More|Plus)")).click()
    page.locator("[name=user]").scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / f"new-log-more-{screen}-{locale[:2]}-{theme}.png")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if screen == "phone":
        # Inputs of files are hidden: a button opens each.
        heights = page.eval_on_selector_all(
            "form :is(button, label:has([type=radio]), textarea, input:not([type=radio], [type=file]))",
            "all => all.map(one => one.getBoundingClientRect().height)",
        )
        assert min(heights) >= 44


@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_the_edit_form_is_accessible(opened, site, axe, screen):
    uuid = add_log(site, comment="Porte bloquée", cause="Copeaux", status="open", down_from="2026-11-20T08:00:00Z")
    page = opened(f"/ui/logs/{uuid}", locale="fr-FR", **{"phone": PHONE, "desk": DESK}[screen])
    page.wait_for_selector("[role=switch]")
    page.screenshot(path=SCREENSHOTS / f"record-stopped-{screen}-fr-light.png")
    page.get_by_role("button", name="Modifier").click()
    page.wait_for_selector("[name=cause]")
    page.screenshot(path=SCREENSHOTS / f"edit-{screen}-fr-light.png")
    assert axe(page) == []
