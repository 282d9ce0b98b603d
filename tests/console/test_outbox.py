"""Each press is one write, kept on the device until the service has it: edits, stops, deletions, every form."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from console.conftest import ADMIN, DESK, LEAD, OPERATOR, PHONE, SCREENSHOTS
from console.test_log_form import DRAFT_SAVED, MACHINE, NEW, add_log
from console.test_offline import BAR, fill, find_logs, go_offline, wait_until, wait_until_sent, write

PENDING = "It will be sent when the service answers"


def slow_down(page, method, seconds=0.4):
    """Let each request of this method take longer. Returns the list of these requests."""
    requests = []

    def delay(route):
        if route.request.method == method:
            requests.append(route.request.url)
            page.wait_for_timeout(seconds * 1000)
        route.continue_()

    page.route(re.compile("/(logs|tokens|users|machines|log-types)"), delay)
    return requests


def press_thrice(button):
    """Click three times, as a nervous finger does: the handlers of the first click have not ended at the third."""
    button.evaluate("one => { one.click(); one.click(); setTimeout(() => one.isConnected && one.click(), 30); }")


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_send_pressed_three_times_writes_one_log(opened, site, screen):
    page = opened(NEW, user=OPERATOR, **screen)
    puts = slow_down(page, "PUT")
    words = f"trois fois envoyer {len(screen)}"
    fill(page, words)
    press_thrice(page.get_by_role("button", name="Send"))
    page.get_by_text("Log sent.").wait_for()
    assert len(find_logs(site, words)) == 1
    assert len(puts) == 1


def test_a_token_form_pressed_three_times_makes_one_token(opened, site):
    page = opened("/ui/account/new-token", user=ADMIN)
    slow_down(page, "POST")
    page.get_by_label("Purpose").fill("pressed often")
    press_thrice(page.get_by_role("button", name="Create token"))
    page.get_by_text("Authorization: Bearer").wait_for()
    page.wait_for_timeout(600)
    names = [token["name"] for token in site.call("GET", "/tokens")["items"]]
    assert names.count("pressed often") == 1


def test_an_invitation_pressed_three_times_makes_one_link(opened):
    page = opened(f"/ui/admin/people/{OPERATOR}", user=ADMIN)
    posts = slow_down(page, "POST")
    press_thrice(page.get_by_role("button", name="Create a link"))
    page.locator("input[readonly]").wait_for()
    assert len(posts) == 1


def test_the_end_of_a_stop_pressed_offline_keeps_its_moment(opened, site):
    uuid = add_log(site, user=OPERATOR, status="open", comment="arret sans reseau", down_from="2026-11-20T08:00:00Z")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR, **PHONE)
    page.get_by_role("switch").wait_for()
    go_offline(page)
    page.get_by_role("switch").click()
    pressed = datetime.now(UTC)
    page.get_by_text(PENDING).wait_for()
    # The record stays on screen, with the change and a word that it waits.
    page.get_by_role("region", name="Log", exact=True).get_by_text("arret sans reseau").wait_for()
    page.get_by_text("1 change not sent yet").wait_for()
    page.screenshot(path=SCREENSHOTS / "record-waiting-phone-en-light.png")
    assert site.call("GET", f"/logs/{uuid}")["down_to"] is None
    # Another user changes something else meanwhile: both changes hold.
    site.call("PATCH", f"/logs/{uuid}", cause="copeau")
    page.wait_for_timeout(1500)
    page.context.set_offline(False)
    wait_until_sent(page)
    log = site.call("GET", f"/logs/{uuid}")
    assert abs(datetime.fromisoformat(log["down_to"]) - pressed) < timedelta(seconds=1.4)
    assert log["cause"] == "copeau"


def test_an_offline_edit_survives_a_reload_and_two_edits_are_sent_in_order(opened, site):
    uuid = add_log(site, user=OPERATOR, comment="premier etat", status="open")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    page.get_by_role("button", name="Edit").wait_for()
    go_offline(page)
    for words in ("deuxieme etat", "troisieme etat"):
        page.get_by_role("button", name="Edit").click()
        page.get_by_label("Description").fill(words)
        page.get_by_role("button", name="Save").click()
        page.locator("section").get_by_text(words).first.wait_for()
    page.get_by_role("button", name="Done", exact=True).click()
    page.get_by_text("3 changes not sent yet").wait_for()
    page.context.set_offline(False)
    page.reload()
    wait_until(lambda: site.call("GET", f"/logs/{uuid}")["version"] == 4)
    log = site.call("GET", f"/logs/{uuid}")
    assert (log["comment"], log["status"]) == ("troisieme etat", "done")
    edits = [entry["changes"].get("comment") for entry in site.call("GET", f"/logs/{uuid}/history")["items"]]
    assert edits[1:3] == [["deuxieme etat", "troisieme etat"], ["premier etat", "deuxieme etat"]]


@pytest.mark.parametrize("is_cut_off", [False, True], ids=["lost", "cut off"])
def test_a_change_whose_response_was_lost_or_cut_off_is_made_once(opened, site, is_cut_off):
    uuid = add_log(site, user=OPERATOR, comment="reponse perdue", status="open")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    statuses = []

    def lose(route):
        if route.request.method != "PATCH" or statuses:
            return route.continue_()
        response = route.fetch()
        statuses.append(response.status)
        if is_cut_off:
            return route.fulfill(response=response, body=response.text()[:40])
        return route.abort("internetdisconnected")

    page.route(f"**/logs/{uuid}", lose)
    page.on("response", lambda response: response.request.method == "PATCH" and statuses.append(response.status))
    # When it is ready the outbox sends by itself, which could hide the message below.
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    page.get_by_role("button", name="Done", exact=True).click()
    page.get_by_text(PENDING).wait_for()
    wait_until_sent(page)
    assert statuses[-1] == 412
    log = site.call("GET", f"/logs/{uuid}")
    assert (log["status"], log["version"]) == ("done", 2)


def test_a_conflict_found_later_opens_the_merge_view(opened, site, axe):
    uuid = add_log(site, user=OPERATOR, comment="bruit faible")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    page.get_by_role("button", name="Edit").click()
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    page.context.set_offline(True)
    page.get_by_label("Description").fill("bruit fort")
    page.get_by_role("button", name="Save").click()
    page.get_by_text(PENDING).wait_for()
    site.call("PATCH", f"/logs/{uuid}", comment="bruit de roulement")
    page.context.set_offline(False)
    page.locator(BAR, has_text="1 to fix").wait_for()
    page.locator(f"{BAR} a").click()
    page.get_by_text("bruit fort").wait_for()
    assert axe(page) == []
    page.get_by_role("link", name="Fix", exact=True).click()
    page.get_by_role("group", name="Description").get_by_role("radio", name="Combine both").check()
    page.get_by_role("textbox", name="Combine both").fill("bruit de roulement, fort")
    page.get_by_role("button", name="Save the result").click()
    page.get_by_text("Saved.", exact=True).wait_for()
    wait_until_sent(page)
    assert site.call("GET", f"/logs/{uuid}")["comment"] == "bruit de roulement, fort"


def test_a_waiting_log_can_be_opened_fixed_and_thrown_away(opened, site):
    page = opened(NEW, user=OPERATOR, **PHONE)
    go_offline(page)
    write(page, "mal ecirt")
    page.get_by_text("1 waiting for the network").click()
    page.get_by_role("link", name="Fix", exact=True).click()
    page.get_by_label("Description").fill("bien ecrit")
    page.get_by_role("button", name="Send").click()
    page.get_by_text(PENDING).wait_for()
    page.get_by_role("link", name="New log").click()
    page.get_by_role("button", name=MACHINE).click()
    write(page, "a jeter")
    page.get_by_text("2 waiting for the network").click()
    page.get_by_role("listitem").filter(has_text="a jeter").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.context.set_offline(False)
    wait_until_sent(page)
    assert len(find_logs(site, "bien ecrit")) == 1
    assert find_logs(site, "mal ecirt") == find_logs(site, "a jeter") == []


def test_a_log_fixed_after_its_response_was_lost_is_changed_and_not_doubled(opened, site):
    page = opened(NEW, user=OPERATOR)
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")

    def lose(route):
        route.fetch()
        page.context.set_offline(True)
        route.abort("internetdisconnected")

    page.route(re.compile("/logs/[0-9a-f-]{36}$"), lose, times=1)
    fill(page, "perdu puis corrige")
    page.get_by_role("button", name="Send").click()
    page.get_by_text(PENDING).wait_for()
    page.locator(f"{BAR} a").click()
    page.get_by_role("link", name="Fix", exact=True).click()
    page.get_by_label("Description").fill("perdu puis corrige en deux mots")
    page.get_by_role("button", name="Send").click()
    page.get_by_text(PENDING).wait_for()
    page.context.set_offline(False)
    wait_until_sent(page)
    (log,) = find_logs(site, "perdu puis corrige")
    assert log["comment"] == "perdu puis corrige en deux mots"


def test_a_deletion_can_be_undone_for_some_seconds(opened, site):
    kept, deleted = add_log(site, comment="garder"), add_log(site, comment="supprimer")
    page = opened(f"/ui/logs/{kept}")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone.").wait_for()
    page.goto(f"/ui/logs/{deleted}")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("Log deleted.").wait_for()
    assert site.call("GET", f"/logs/{deleted}")["comment"] == "supprimer"
    wait_until(lambda: site.call("GET", f"/logs?deleted=true&uuid={deleted}")["items"])
    assert site.call("GET", f"/logs/{kept}")["comment"] == "garder"


def test_two_tabs_have_drafts_of_their_own(opened, site):
    page = opened(NEW, user=LEAD)
    other = page.context.new_page()
    other.goto(NEW)
    fill(page, "brouillon du premier onglet")
    page.wait_for_selector(DRAFT_SAVED)
    fill(other, "brouillon du second onglet")
    other.wait_for_selector(DRAFT_SAVED)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    other.reload()
    wait_until(lambda: other.get_by_label("Description").input_value() == "brouillon du second onglet")
    assert len(find_logs(site, "brouillon du premier onglet")) == 1


def test_a_draft_left_behind_is_announced_and_opens_again(opened, site):
    uuid = add_log(site, comment="a completer", status="open")
    page = opened(f"/ui/logs/{uuid}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Description").fill("complete a moitie")
    page.wait_for_selector(DRAFT_SAVED)
    page.goto("/ui/machines")
    page.get_by_role("link", name="1 draft").click()
    page.get_by_role("link", name="Continue").click()
    wait_until(lambda: page.get_by_label("Description").input_value() == "complete a moitie")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.", exact=True).wait_for()
    assert site.call("GET", f"/logs/{uuid}")["comment"] == "complete a moitie"
    wait_until(lambda: page.get_by_role("link", name="1 draft").count() == 0)
