"""Races of the outbox: a press during a request, two tabs, two users, a disk that becomes full."""

import re
import time
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest

from console.conftest import ADMIN, OPERATOR, SUPERVISOR
from console.test_log_form import DRAFT_SAVED, MACHINE, NEW, add_log
from console.test_offline import BAR, fill, find_logs, go_offline, wait_until, wait_until_sent, write
from console.test_outbox import PENDING

FULL = """for (const method of ['put', 'add']) IDBObjectStore.prototype[method] = () => {
    throw new DOMException('full', 'QuotaExceededError'); }; null"""


def test_undo_pressed_while_the_change_is_under_way_is_sent_after_it(opened, site):
    uuid = add_log(site, user=OPERATOR, status="open", comment="annuler en route")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    held = []

    def hold_first(route):
        if route.request.method == "PATCH" and not held:
            held.append(route)
        else:
            route.continue_()

    page.route(f"**/logs/{uuid}", hold_first)
    page.get_by_role("button", name="Done", exact=True).click()
    page.get_by_text(PENDING).wait_for()
    page.get_by_role("button", name="Undo", exact=True).last.click()
    held[0].continue_()
    page.get_by_text("Undone.").wait_for()
    wait_until_sent(page)
    statuses = [entry["changes"].get("status") for entry in site.call("GET", f"/logs/{uuid}/history")["items"]]
    assert statuses[:2] == [["done", "open"], ["open", "done"]]
    assert site.call("GET", f"/logs/{uuid}")["status"] == "open"


@pytest.mark.parametrize("status", [201, 422])
def test_a_log_that_is_sent_does_not_take_the_user_from_the_page_that_was_opened_meanwhile(opened, site, status):
    page, words, held = opened(NEW, user=OPERATOR), f"parti ailleurs {status}", []
    page.route(re.compile("/logs/[0-9a-f-]{36}$"), lambda route: held.append(route))  # noqa: PLW0108 -- Playwright counts the parameters
    # The bar is loaded when the page makes no request.
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    fill(page, words)
    page.get_by_role("button", name="Send").click()
    page.get_by_role("link", name="1 log waiting").click()
    page.get_by_text(words).wait_for()

    def is_held():
        page.wait_for_timeout(10)  # Playwright runs the handler of a route only during a call
        return held

    wait_until(is_held)
    if status == 201:
        held[0].continue_()
        page.get_by_text("Log sent.").wait_for()
    else:
        held[0].fulfill(status=status, json={"status": status, "code": "validation", "errors": []})
        page.get_by_text("The service refused this.").wait_for()
    page.wait_for_timeout(300)
    assert urlsplit(page.url).path == "/ui/waiting"
    assert len(find_logs(site, words)) == (status == 201)


def test_two_tabs_that_open_at_once_share_no_draft(opened, site):
    page = opened(NEW, user=SUPERVISOR)
    fill(page, "laisse par un onglet ferme")
    page.wait_for_selector(DRAFT_SAVED)
    tabs = [page.context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto("/ui/account")
    page.close()
    for tab in tabs:
        tab.evaluate(f"setTimeout(() => location.assign('{quote(NEW, safe='/?=')}'), 50); null")
    values = []
    for tab in tabs:
        tab.wait_for_selector("[name=comment]")
        tab.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
        values.append(tab.get_by_label("Description").input_value())
    assert sorted(values) == ["", "laisse par un onglet ferme"]
    # What the other tab types is a draft and a log of its own.
    first, second = sorted(tabs, key=lambda tab: -len(tab.get_by_label("Description").input_value()))
    fill(second, "ecrit dans le second onglet")
    for tab in (first, second):
        tab.get_by_role("button", name="Send").click()
        tab.get_by_text("Log sent.").wait_for()
    assert (
        len(find_logs(site, "laisse par un onglet ferme")) == len(find_logs(site, "ecrit dans le second onglet")) == 1
    )


def test_another_user_of_the_device_sees_and_sends_nothing_of_the_first(opened, site, sessions):
    uuid = add_log(site, user=OPERATOR, comment="connu de tous")
    machine = site.call("GET", f"/machines/{quote(MACHINE)}")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR, refusals={404})
    page.get_by_role("button", name="Edit").click()
    go_offline(page)
    page.get_by_label("Description").fill("modif privee")
    page.get_by_role("button", name="Save").click()
    page.get_by_text(PENDING).wait_for()
    page.get_by_role("link", name="New log").click()
    page.get_by_role("button", name=MACHINE).first.click()
    write(page, "note privee")
    page.get_by_role("link", name="2 waiting for the network").click()
    for words in ("modif privee", "note privee"):
        page.get_by_text(words).wait_for()
    fix = page.get_by_role("link", name="Fix", exact=True).last.get_attribute("href")
    page.context.clear_cookies()
    page.context.add_cookies(sessions(SUPERVISOR))
    page.context.set_offline(False)
    for path, words in [
        (f"/ui/logs/{uuid}", "connu de tous"),
        (f"/ui/m/{machine['id']}", MACHINE),
        ("/ui/waiting", f"waiting for {OPERATOR} to sign in"),
        (fix, "Not found"),
    ]:
        page.goto(path)
        page.get_by_text(words).first.wait_for()
        page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
        assert "privee" not in page.content(), path
        assert page.locator("textarea").evaluate_all("all => all.map((one) => one.value).join('')") == "", path
    page.get_by_role("link", name="2 logs waiting").wait_for()
    assert site.call("GET", f"/logs/{uuid}")["comment"] == "connu de tous"
    assert find_logs(site, "note privee") == []
    page.context.clear_cookies()
    page.context.add_cookies(sessions(OPERATOR))
    page.goto("/ui/waiting")
    wait_until(
        lambda: site.call("GET", f"/logs/{uuid}")["comment"] == "modif privee" and find_logs(site, "note privee")
    )
    assert [log["user"] for log in find_logs(site, "note privee")] == [OPERATOR]


def test_a_rename_whose_response_was_lost_is_done_and_later_changes_follow(opened, site):
    before, after = f"Press {uuid4().hex[:6]}", f"Press {uuid4().hex[:6]}"
    site.call("POST", "/machines", name=before)
    page = opened(f"/ui/machines/{quote(before)}", user=SUPERVISOR, refusals={404})
    page.get_by_role("button", name="Edit").click()
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    statuses = []

    def lose(route):
        if route.request.method == "PATCH" and not statuses:
            statuses.append(route.fetch().status)
            route.abort("internetdisconnected")
        else:
            route.continue_()

    page.route(re.compile("/machines/"), lose)
    page.on("response", lambda response: response.request.method == "PATCH" and statuses.append(response.status))
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill(after)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("1 change not sent yet").wait_for()
    wait_until_sent(page)
    assert statuses == [200, 404]
    page.goto(f"/ui/machines/{quote(after)}")
    page.get_by_role("heading", name=after, level=1).wait_for()
    assert site.call("GET", f"/machines/{quote(after)}")["version"] == 2


def test_a_disk_that_becomes_full_while_writing_loses_nothing(opened, site):
    page = opened(NEW, user=OPERATOR)
    go_offline(page)
    write(page, "ecrit avant le disque plein")
    page.get_by_role("link", name="New log").click()
    page.get_by_role("button", name=MACHINE).first.click()
    fill(page, "commence avant")
    page.wait_for_selector(DRAFT_SAVED)
    page.evaluate(FULL)
    page.get_by_label("Description").fill("commence avant et fini apres")
    page.get_by_text("This device keeps nothing").first.wait_for()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("this device keeps nothing: leave this page open").wait_for()
    page.get_by_role("link", name="2 waiting for the network").wait_for()
    page.context.set_offline(False)
    wait_until_sent(page)
    assert len(find_logs(site, "ecrit avant le disque plein")) == 1
    assert [log["comment"] for log in find_logs(site, "commence avant")] == ["commence avant et fini apres"]
    # Nothing comes back from the disk with the next page, which can write again.
    page.reload()
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    assert page.locator("aside").inner_text().strip() == ""
    assert len(find_logs(site, "commence avant")) == 1


@pytest.mark.parametrize("kind", ["log", "change"])
def test_a_write_that_was_opened_waits_until_it_is_sent_again(opened, site, kind):
    words = f"ouvert puis laisse {kind}"
    uuid = add_log(site, user=OPERATOR, comment="avant")
    page = opened(NEW if kind == "log" else f"/ui/logs/{uuid}", user=OPERATOR)
    if kind == "log":
        go_offline(page)
        write(page, words)
    else:
        page.get_by_role("button", name="Edit").click()
        go_offline(page)
        page.get_by_label("Description").fill(words)
        page.get_by_role("button", name="Save").click()
        page.get_by_text(PENDING).wait_for()
    page.locator(f"{BAR} a").click()
    page.get_by_role("link", name="Fix", exact=True).click()
    wait_until(lambda: page.get_by_label("Description").input_value() == words)
    page.locator(f"{BAR} a", has_text="1 to fix").click()
    page.get_by_text("You opened this to change it.").wait_for()
    page.context.set_offline(False)
    time.sleep(1)
    assert words not in str(site.call("GET", f"/logs?machine={quote(MACHINE)}&limit=20"))
    page.get_by_role("button", name="Send again").click()
    wait_until_sent(page)
    assert len(find_logs(site, words)) == 1


QUEUE = """({ write }) => new Promise((done) => { const open = indexedDB.open('machine-monitor');
    open.onsuccess = () => {
    const tx = open.result.transaction('queue', 'readwrite');
    tx.objectStore('queue').add(write);
    tx.oncomplete = () => done(open.result.close()); }; })"""


@pytest.mark.parametrize("resource", ["users", "log-types"])
def test_a_refused_change_of_a_type_or_a_person_is_fixed_in_its_form(opened, site, resource):
    key = f"X{uuid4().hex[:5]}".upper()[: 3 if resource == "users" else 6]
    key = key if resource == "users" else key.lower()
    field, label = ("last_name", "Last name") if resource == "users" else ("label", "Label")
    body = {"trigram": key, "first_name": "Ann"} if resource == "users" else {"code": key, "label": "Old"}
    base = site.call("POST", f"/{resource}", **body)
    page = opened("/ui/account", user=ADMIN)
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    error = {"pointer": f"/{field}", "code": "too-long", "message": "too long"}
    refused = {"code": "validation", "status": 422, "errors": [error]}
    write = {"kind": "update", "uuid": str(uuid4()), "resource": resource, "key": key, "body": {field: "Much too long"}}
    write |= {"base": base, "version": base["version"], "mergesAlone": True, "by": ADMIN, "tried": True}
    page.evaluate(QUEUE, {"write": {**write, "refused": refused}})
    page.goto("/ui/waiting")
    page.get_by_text("Much too long").wait_for()
    page.get_by_role("link", name="Fix", exact=True).click()
    form = page.locator("form")
    wait_until(lambda: form.get_by_label(label).input_value() == "Much too long")
    assert form.get_by_label(label).get_attribute("aria-invalid") == "true"
    form.get_by_label(label).fill("Short")
    form.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.", exact=True).wait_for()
    wait_until_sent(page)
    assert site.call("GET", f"/{resource}/{key}")[field] == "Short"
