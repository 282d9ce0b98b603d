"""Attributes in forms, machine edits without network, and deletion with undo."""

import re
from urllib.parse import quote
from uuid import uuid4

import pytest

from console.conftest import ADMIN, LEAD, OPERATOR, SUPERVISOR
from console.test_first_hour import LANGUAGES, SCREENS, shoot
from console.test_log_form import DRAFT_SAVED, add_log
from console.test_offline import go_offline, wait_until, wait_until_sent

# Delay each read from IndexedDB by half a second, except in transactions that write: a pause would end them.
SLOW_READS = """() => {
  for (const name of ['get', 'getAllKeys']) {
    const read = IDBObjectStore.prototype[name];
    IDBObjectStore.prototype[name] = function (...values) {
      const request = read.apply(this, values);
      if (this.transaction.mode !== 'readonly') return request;
      const listen = request.addEventListener.bind(request);
      request.addEventListener = (type, listener) => listen(type, (event) => setTimeout(listener, 500, event));
      return request;
    };
  }
}"""


@pytest.fixture
def machine(site):
    """A machine without logs."""
    name = f"Drill {uuid4().hex[:6]}"
    site.call("POST", "/machines", name=name, attributes={"power_kw": 5.5, "cnc": True})
    return name


def stored(site, name):
    return site.call("GET", f"/machines/{quote(name)}")


def add_attribute(page, name, kind, value):
    page.get_by_role("button", name="Add an attribute").click()
    row = page.get_by_role("group", name="New attribute")
    row.get_by_label("Name", exact=True).and_(page.locator(":focus")).wait_for()
    row.get_by_label("Kind of value").select_option(label=kind)
    if kind == "Yes/No":
        row.get_by_label("Value", exact=True).select_option(value)
    else:
        row.get_by_label("Value", exact=True).fill(value)
    row.get_by_label("Name", exact=True).fill(name)


def open_machine(opened, name, user=SUPERVISOR, query="", **options):
    page = opened(f"/ui/machines/{quote(name)}{query}", user=user, refusals=(404, 409), **options)
    page.get_by_role("heading", name=name, level=1).wait_for()
    return page


def test_attributes_of_a_machine_are_added_changed_and_removed(opened, site, machine, axe):
    page = open_machine(opened, machine)
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Remove cnc").click()
    page.get_by_role("group", name="power_kw").get_by_label("Value", exact=True).fill("7,5")
    add_attribute(page, "bore_mm", "Number", "1e2x")
    add_attribute(page, "norm", "Text", "007")
    add_attribute(page, "guard", "Yes/No", "yes")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("This is not a number.").wait_for()
    assert page.evaluate("document.activeElement.ariaInvalid") == "true"
    shoot(page, "machine-attributes-desk-en-light")
    assert axe(page) == []
    page.get_by_role("group", name="bore_mm").get_by_label("Value", exact=True).fill("120")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Bore (mm)").wait_for()
    expected = {"power_kw": 7.5, "bore_mm": 120, "norm": "007", "guard": True}
    wait_until(lambda: stored(site, machine)["attributes"] == expected)
    assert page.get_by_text("Power (kW)").count() == 1


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("locale", LANGUAGES)
def test_the_attribute_rows_are_accessible(opened, machine, axe, screen, locale):
    page = open_machine(opened, machine, query="?edit", locale=locale, **SCREENS[screen])
    page.get_by_role("dialog").wait_for()
    page.get_by_role("dialog").locator("fieldset .add button").click()
    page.get_by_role("dialog").locator("fieldset").scroll_into_view_if_needed()
    shoot(page, f"machine-form-{screen}-{locale[:2]}-light")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_attributes_of_a_log_are_written_and_shown_and_errors_stand_at_their_row(opened, site, machine):
    uuid = add_log(site, machine=machine, user=OPERATOR, attributes={"temp_c": 41, "note": "x"})
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    page.get_by_text("Temp (°C)").wait_for()
    page.get_by_role("button", name="Edit").click()
    add_attribute(page, "x" * 64, "Text", "y" * 3000)
    page.get_by_role("button", name="Save").click()
    page.locator("fieldset .invalid").wait_for()
    assert page.locator("fieldset .invalid .name").input_value() == "x" * 64
    page.locator("fieldset .invalid .value").fill("y")
    page.locator("fieldset .invalid .name").fill("a.b")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("No dots").wait_for()
    page.get_by_role("button", name="Remove a.b").click()
    page.get_by_role("group", name="temp_c").get_by_label("Value", exact=True).fill("43")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert site.call("GET", f"/logs/{uuid}")["attributes"] == {"temp_c": 43, "note": "x"}
    page = opened(f"/ui/new?machine={quote(machine)}", user=OPERATOR)
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="More:").click()
    add_attribute(page, "piece", "Text", "A-17")
    page.wait_for_selector(DRAFT_SAVED)
    page.reload()
    page.get_by_role("group", name="piece").wait_for()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    assert site.call("GET", f"/logs?machine={quote(machine)}&limit=1")["items"][0]["attributes"] == {"piece": "A-17"}


def test_two_users_change_two_attributes_and_a_conflict_is_decided_for_each(opened, site, machine):
    uuid = add_log(site, machine=machine, attributes={"a": 1, "b": 1, "c": 1})
    page = opened(f"/ui/logs/{uuid}")
    page.get_by_role("button", name="Edit").click()
    for name in "ab":
        page.get_by_role("group", name=name, exact=True).get_by_label("Value", exact=True).fill("2")
    site.call("PATCH", f"/logs/{uuid}", attributes={"b": 3, "c": 3})
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Someone else changed this log").wait_for()
    page.get_by_role("group", name="B", exact=True).get_by_label("Your version").check()
    shoot(page, "merge-attributes-desk-en-light")
    page.get_by_role("button", name="Save the result").click()
    page.get_by_text("Saved.").wait_for()
    assert site.call("GET", f"/logs/{uuid}")["attributes"] == {"a": 2, "b": 2, "c": 3}


def test_an_undo_in_the_history_removes_an_attribute_that_was_added(opened, site, machine):
    uuid = add_log(site, machine=machine, attributes={"a": 1})
    site.call("PATCH", f"/logs/{uuid}", attributes={"b": 2})
    page = opened(f"/ui/logs/{uuid}")
    page.get_by_role("button", name="Undo").first.click()
    page.get_by_text("Undone.").wait_for()
    assert site.call("GET", f"/logs/{uuid}")["attributes"] == {"a": 1}


def test_what_is_typed_at_once_in_the_form_of_a_machine_is_saved_although_the_storage_is_slow(opened, machine):
    page = open_machine(opened, machine)
    page.evaluate(SLOW_READS)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Model").fill("Typed at once")
    page.wait_for_selector(DRAFT_SAVED)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_machine_edited_offline_waits_and_keeps_its_attributes(opened, site, machine, screen):
    page = open_machine(opened, machine, **SCREENS[screen])
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Model").fill("Typed and left")
    page.wait_for_selector(DRAFT_SAVED)
    page.reload()
    page.goto(f"/ui/machines/{quote(machine)}?edit")
    page.get_by_role("dialog").wait_for()
    wait_until(lambda: page.get_by_label("Model").input_value() == "Typed and left")
    assert "edit" not in page.url
    go_offline(page)
    page.get_by_role("group", name="power_kw").get_by_label("Value", exact=True).fill("9")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("1 change not sent yet").wait_for()
    page.get_by_text("Typed and left").wait_for()
    assert page.locator("dd", has_text=re.compile("^yes$")).count() == 1
    shoot(page, f"machine-waiting-{screen}-en-light")
    page.context.set_offline(False)
    wait_until_sent(page)
    after = stored(site, machine)
    assert (after["model"], after["attributes"]) == ("Typed and left", {"power_kw": 9, "cnc": True})


def test_a_refused_machine_edit_is_fixed_from_the_list_of_what_waits(opened, site, machine):
    page = open_machine(opened, machine)
    page.get_by_role("button", name="Edit").click()
    go_offline(page)
    page.get_by_label("Model").fill("Mine")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("1 change not sent yet").wait_for()
    site.call("PATCH", f"/machines/{quote(machine)}", model="Theirs", usage="Theirs")
    page.context.set_offline(False)
    page.get_by_text("1 to fix").first.wait_for()
    page.goto("/ui/waiting")
    page.get_by_role("link", name="Fix", exact=True).click()
    page.get_by_text("Now: Theirs").wait_for()
    assert page.get_by_label("Model").input_value() == "Mine"
    assert page.get_by_label("Used for").input_value() == "Theirs"
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").wait_for(state="detached")
    wait_until(lambda: stored(site, machine)["model"] == "Mine")
    assert stored(site, machine)["usage"] == "Theirs"


def test_a_lead_retires_a_machine_offline_while_others_change_it(opened, site, machine):
    page = open_machine(opened, machine, user=LEAD)
    assert page.get_by_role("button", name="Delete").count() == 0
    go_offline(page)
    page.get_by_role("button", name="Retire").click()
    page.get_by_text("Machine retired.").wait_for()
    page.get_by_role("button", name="Put back in service").wait_for()
    site.call("PATCH", f"/machines/{quote(machine)}", usage="Theirs")
    page.context.set_offline(False)
    wait_until_sent(page)
    assert (stored(site, machine)["in_service"], stored(site, machine)["usage"]) == (False, "Theirs")


def exists(site, path):
    return any(True for _ in site.call("GET", path)["items"])


def test_a_deleted_machine_comes_back_by_undo_and_goes_after_some_seconds(opened, site, machine):
    page = open_machine(opened, machine)
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/ui/machines")
    page.wait_for_selector("[data-machine]")
    assert page.locator(f"[data-machine='{machine}']").count() == 0
    page.get_by_role("button", name="Undo").click()
    page.locator(f"[data-machine='{machine}']").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/ui/machines")
    wait_until(lambda: not exists(site, f"/machines?name={quote(machine)}"))


def test_a_machine_with_logs_is_retired_instead_of_deleted(opened, site, machine):
    uuid = add_log(site, machine=machine)
    page = open_machine(opened, machine)
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("This machine has logs, so it cannot be deleted.").wait_for()
    assert page.url.endswith(quote(machine))
    # Only the service knows of deleted logs: it refuses, and the console again offers to retire the machine.
    site.call("DELETE", f"/logs/{uuid}")
    page.reload()
    page.get_by_text("No stop reported").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("status").get_by_role("button", name="Retire").click()
    wait_until(lambda: stored(site, machine)["in_service"] is False)
    assert page.get_by_text("to fix").count() == 0


def test_a_type_and_a_person_are_deleted_or_deactivated(opened, site):
    code = f"t{uuid4().hex[:5]}"
    site.call("POST", "/log-types", code=code, label="To delete")
    page = opened(f"/ui/admin/types/{code}", user=SUPERVISOR, refusals=(404, 409))
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("Type deleted.").wait_for()
    assert page.locator(f"[data-key={code}]").count() == 0
    wait_until(lambda: code not in str(site.call("GET", "/log-types?limit=500")))
    site.call("POST", "/users", trigram="GON", first_name="Soon", last_name="Gone")
    add_log(site, user="GON")
    page = opened("/ui/admin/people/GON", refusals=(404, 409))
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("GON was deleted.").wait_for()
    page.get_by_role("status").get_by_role("button", name="Deactivate").click()
    wait_until(lambda: site.call("GET", "/users/GON")["active"] is False)
    page.goto(f"/ui/admin/people/{ADMIN}")
    page.get_by_role("button", name="Create a link").wait_for()
    assert page.get_by_role("button", name="Delete").count() == 0


@pytest.mark.parametrize("screen", SCREENS)
def test_a_supervisor_finds_a_deleted_log_and_restores_it(opened, site, axe, screen):
    words = f"effacee par erreur {screen}"
    uuid = add_log(site, comment=words, attributes={"temp_c": 41})
    site.call("DELETE", f"/logs/{uuid}")
    page = opened("/ui/logs", user=SUPERVISOR, **SCREENS[screen])
    page.get_by_role("button", name="Deleted").click()
    page.wait_for_url("**deleted=true**")
    page.locator(f"[data-uuid='{uuid}']").wait_for()
    shoot(page, f"logs-deleted-{screen}-en-light")
    page.locator(f"[data-uuid='{uuid}']").click()
    page.get_by_text("This log was deleted.").wait_for()
    detail = page.get_by_role("region", name="Log", exact=True)
    detail.get_by_text(words).wait_for()
    assert detail.get_by_role("button", name="Edit").count() == 0
    shoot(page, f"record-deleted-{screen}-en-light")
    assert axe(page) == []
    page.get_by_role("button", name="Restore").click()
    page.get_by_text("Log restored.").wait_for()
    wait_until(lambda: site.call("GET", f"/logs/{uuid}")["comment"] == words)
    page = opened("/ui/logs", user=LEAD)
    page.wait_for_selector("[data-uuid]")
    assert page.get_by_role("button", name="Deleted").count() == 0
