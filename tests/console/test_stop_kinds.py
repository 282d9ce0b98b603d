"""Kinds of stops, and the question whether a machine runs again, in forms and at the record, also without a network."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from console.conftest import DESK, OPERATOR, PHONE
from console.test_first_hour import shoot
from console.test_log_form import DRAFT_SAVED, NEW, add_log, newest
from console.test_offline import go_offline, wait_until, wait_until_sent

STOPPED = {"type": "error", "status": "open", "user": OPERATOR, "down_from": "2026-03-02T08:00:00Z"}
QUESTION = "Does the machine run again?"


def stored(site, uuid):
    return site.call("GET", f"/logs/{uuid}")


def write_stop(page, words, kind):
    """Fill in a log of a stop, and choose its kind."""
    page.get_by_role("radio", name="Breakdown", exact=True).check()
    page.get_by_label("Description").fill(words)
    assert page.get_by_role("radiogroup", name="Kind of stop").count() == 0
    page.get_by_role("switch").click()
    kinds = page.get_by_role("radiogroup", name="Kind of stop")
    assert kinds.get_by_role("radio", name="By type").is_checked()
    page.get_by_text("the stop counts as “Failure”, because the type is Breakdown").wait_for()
    kinds.get_by_role("radio", name=kind).check()


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_one_press_says_the_kind_of_a_stop(opened, site, axe, screen):
    words = f"courant {uuid4().hex[:6]}"
    page = opened(NEW, user=OPERATOR, **screen)
    write_stop(page, words, "External")
    page.wait_for_selector(DRAFT_SAVED)
    shoot(page, f"stop-kind-{'phone' if screen is PHONE else 'desk'}-en-light")
    assert axe(page) == []
    page.reload()
    page.get_by_role("radio", name="External", checked=True).wait_for()
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Open").click()
    page.get_by_text("External", exact=True).wait_for()
    log = newest(site, words)
    assert log["down_kind"] == "external"
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("radiogroup", name="Kind of stop").get_by_role("radio", name="By type").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Failure, by type").wait_for()
    page.get_by_text("removed the kind of stop").wait_for()
    assert stored(site, log["uuid"])["down_kind"] is None


def test_the_history_names_the_kind_and_the_list_filters_by_it(opened, site):
    uuid = add_log(site, **STOPPED, down_kind="planned", comment=f"essai {uuid4().hex[:6]}")
    site.call("PATCH", f"/logs/{uuid}", down_kind="external")
    page = opened(f"/ui/logs/{uuid}")
    page.get_by_text("changed the kind of stop from planned to external").wait_for()
    page.goto("/ui/logs")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("External", exact=True).click()
    page.wait_for_url("**down_kind=external")
    shoot(page, "menu-stop-desk-en-light")
    page.keyboard.press("Escape")
    page.get_by_text("Kind of stop: External").wait_for()
    count = site.call("GET", "/logs?down_kind=external&count=exact&limit=1")["total"]
    page.get_by_text(f"{count} log", exact=False).first.wait_for()
    site.call("PATCH", f"/logs/{uuid}", status="cancelled")


def test_a_kind_waits_for_the_network(opened, site):
    words = f"hors ligne {uuid4().hex[:6]}"
    page = opened(NEW, user=OPERATOR, refusals=(503,))
    page.wait_for_selector("[name=comment]")
    go_offline(page)
    write_stop(page, words, "Planned")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Saved on this device. It will be sent").wait_for()
    page.context.set_offline(False)
    wait_until_sent(page)
    log = newest(site, words)
    assert (log["down_kind"], log["status"]) == ("planned", "open")
    site.call("PATCH", f"/logs/{log['uuid']}", status="cancelled")


def test_two_kinds_of_one_stop_are_a_conflict_to_decide(opened, site):
    uuid = add_log(site, **STOPPED)
    page = opened(f"/ui/logs/{uuid}?edit")
    page.get_by_role("radiogroup", name="Kind of stop").get_by_role("radio", name="Planned").check()
    site.call("PATCH", f"/logs/{uuid}", down_kind="external")
    page.get_by_role("button", name="Save").click()
    choice = page.get_by_role("group", name="Kind of stop")
    choice.get_by_text("External").wait_for()
    choice.get_by_label("Your version").check()
    page.get_by_role("button", name="Save the result").click()
    page.get_by_text("Saved.").wait_for()
    assert stored(site, uuid)["down_kind"] == "planned"
    site.call("PATCH", f"/logs/{uuid}", status="cancelled")


@pytest.mark.parametrize("answer", ["Yes, it runs", "No, still stopped"])
@pytest.mark.parametrize("has_network", [True, False], ids=["online", "offline"])
def test_done_at_a_record_asks_whether_the_machine_runs_again(opened, site, axe, answer, has_network):
    uuid = add_log(site, **STOPPED)
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR, **PHONE)
    page.get_by_role("button", name="Done").wait_for()
    if not has_network:
        go_offline(page)
    # Two presses of the same place answer nothing.
    page.get_by_role("button", name="Done").dblclick()
    page.get_by_text(QUESTION).wait_for()
    if has_network:
        shoot(page, "runs-again-phone-en-light")
        assert axe(page) == []
    assert stored(site, uuid)["status"] == "open"
    pressed = datetime.now(UTC)
    page.get_by_role("button", name=answer).click()
    if not has_network:
        page.wait_for_timeout(1500)
        page.context.set_offline(False)
    wait_until(lambda: stored(site, uuid)["status"] == "done")
    log = stored(site, uuid)
    if answer.startswith("No"):
        assert log["down_to"] is None
        site.call("PATCH", f"/logs/{uuid}", status="cancelled")
    else:
        assert abs((datetime.fromisoformat(log["down_to"]) - pressed).total_seconds()) < 1.4


@pytest.mark.parametrize("answer", ["Yes, it runs", "No, still stopped"])
def test_both_forms_ask_whether_the_machine_runs_again(opened, site, answer):
    words = f"question {uuid4().hex[:6]}"
    page = opened(NEW, user=OPERATOR)
    write_stop(page, words, "Failure")
    page.get_by_role("button", name="More").click()
    page.get_by_role("radio", name="Done").check()
    page.get_by_role("button", name="Send").click()
    page.get_by_text(QUESTION).wait_for()
    shoot(page, "runs-again-form-desk-en-light")
    page.get_by_role("button", name="No, still stopped").click()
    page.get_by_text("Log sent.").wait_for()
    uuid = newest(site, words)["uuid"]
    assert stored(site, uuid)["down_to"] is None
    # The answer is known: a later edit does not ask again.
    page.goto(f"/ui/logs/{uuid}?edit")
    page.get_by_label("Cause").fill("usure")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    site.call("PATCH", f"/logs/{uuid}", status="open")
    page.goto(f"/ui/logs/{uuid}?edit")
    page.get_by_role("radio", name="Done").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name=answer).click()
    page.get_by_text("Saved.").wait_for()
    log = stored(site, uuid)
    assert (log["status"], log["down_to"] is None) == ("done", answer.startswith("No"))
    site.call("PATCH", f"/logs/{uuid}", status="cancelled")
