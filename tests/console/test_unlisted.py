"""Machines that are not in the list, in a browser: a log names one, and a supervisor confirms or merges it."""

import re
import secrets
from urllib.parse import quote

from console.conftest import LEAD, OPERATOR, PHONE, SUPERVISOR
from console.test_scan import DRAFT_SAVED, FRENCH, take_picture


def write_unlisted(page, name, words):
    page.goto("/ui/new")
    page.get_by_label("Machine").first.fill(name)
    page.get_by_role("option", name=f"“{name}” is not in the list: use it anyway").click()
    page.get_by_text("Not in the list: a supervisor will confirm it.").wait_for()
    page.get_by_role("radio", name="Info", exact=True).check()
    page.get_by_label("Description").fill(words)
    page.wait_for_selector(DRAFT_SAVED)
    page.get_by_role("button", name="Send").click()


def test_a_log_of_an_unknown_machine_is_confirmed_by_a_supervisor(opened, site):
    name = f"Presse {secrets.token_hex(3)}"
    page = opened("/ui/new", user=OPERATOR, **PHONE)
    write_unlisted(page, name, "machine inconnue")
    page.get_by_text("Log sent.").wait_for()
    assert site.call("GET", f"/machines/{name}")["listed"] is False
    page = opened("/ui/machines", user=SUPERVISOR)
    page.get_by_role("link", name=re.compile("^\\d+ not confirmed")).click()
    page.wait_for_url("**/ui/machines?state=unlisted")
    group = page.get_by_role("group", name=f"{name}: Not confirmed")
    group.get_by_role("button", name="Confirm", exact=True).click()
    page.get_by_text(f"{name} is in the list.").wait_for()
    group.wait_for(state="detached")
    assert site.call("GET", f"/machines/{name}")["listed"] is True
    page.get_by_role("button", name="Undo").click()
    group.wait_for()
    assert site.call("GET", f"/machines/{name}")["listed"] is False
    # Others see that it is not confirmed, and are offered nothing.
    page = opened("/ui/machines?state=unlisted", user=LEAD)
    page.locator(f"[data-machine='{name}']", has_text="Not confirmed").wait_for()
    assert page.get_by_role("button", name="Confirm", exact=True).count() == 0


def test_an_unknown_machine_is_merged_into_the_one_that_was_meant(opened, site, axe):
    machine = site.call("POST", "/machines", name=f"Pont {secrets.token_hex(3)}")
    name = f"Pont mal ecrit {secrets.token_hex(3)}"
    log = site.call("POST", "/logs", machine=name, type="info", comment="mal ecrit", unlisted=True)
    merged = site.call("GET", f"/machines/{quote(name)}")
    page = opened(f"/ui/machines/{quote(name)}", user=SUPERVISOR, refusals=(404,), **PHONE)
    page.get_by_role("button", name="Merge into…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("This cannot be undone.").wait_for()
    assert dialog.get_by_role("button", name="Merge").is_disabled()
    dialog.get_by_role("combobox", name="Machine to keep").fill(machine["name"].lower())
    dialog.get_by_role("option", name=machine["name"]).wait_for()
    # Escape closes the list, and not the dialog.
    page.keyboard.press("Escape")
    dialog.get_by_role("option", name=machine["name"]).wait_for(state="hidden")
    assert dialog.get_by_role("combobox", name="Machine to keep").input_value() == machine["name"].lower()
    page.keyboard.press("ArrowDown")
    dialog.get_by_role("option", name=machine["name"]).wait_for()
    take_picture(page, axe, "merge-phone")
    dialog.get_by_role("option", name=machine["name"]).click()
    dialog.get_by_role("button", name="Merge").click()
    page.wait_for_url(f"**/ui/machines/{quote(machine['name'])}")
    page.get_by_text(f"{name} is now part of {machine['name']}.").wait_for()
    assert site.call("GET", f"/logs/{log['uuid']}")["machine"] == machine["name"]
    # The label of the merged machine leads to the other one.
    page = opened(f"/ui/m/{merged['id']}", user=OPERATOR, **PHONE)
    page.get_by_role("heading", name=f"“{name}” was merged into “{machine['name']}”.").wait_for()
    take_picture(page, axe, "merged-phone")
    page.get_by_role("link", name=machine["name"]).click()
    page.wait_for_url(f"**/ui/machines/{quote(machine['name'])}")
    page = opened("/ui/m/999999", user=OPERATOR, **PHONE, **FRENCH)
    page.get_by_text("Elle a été supprimée, ou cette étiquette vient").wait_for()


def test_an_unknown_name_that_was_not_chosen_creates_no_machine(opened, site):
    page = opened("/ui/new", user=OPERATOR)
    page.get_by_label("Machine").first.fill("Tour CN 1x")
    page.get_by_role("radio", name="Info", exact=True).check()
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("[name=machine][aria-invalid=true]")
    assert site.call("GET", "/machines?name=Tour%20CN%201x")["items"] == []
