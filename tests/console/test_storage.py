"""Logs can be written on a device that denies storage, loses it, has a wrong clock, or has no network."""

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest

from api.access.site import PASSWORD
from console.conftest import OPERATOR, PHONE, SCREENSHOTS, SUPERVISOR
from console.test_log_form import MACHINE, NEW, add_log
from console.test_offline import BAR, fill, find_logs, go_offline, wait_until, wait_until_sent

# Scripts that take one feature of the browser away, before the console starts.
DENIALS = {
    "indexeddb-throws": "IDBFactory.prototype.open = () => { throw new DOMException('denied', 'SecurityError'); };",
    "indexeddb-hangs": "IDBRequest.prototype.addEventListener = () => {};",
    # The database opens, but its transactions wait forever.
    "indexeddb-stalls": """IDBRequest.prototype.addEventListener = function (...listener) {
        if (this instanceof IDBOpenDBRequest) EventTarget.prototype.addEventListener.apply(this, listener); };""",
    "indexeddb-full": """for (const method of ['put', 'add']) IDBObjectStore.prototype[method] = () => {
        throw new DOMException('full', 'QuotaExceededError'); };""",
    "indexeddb-missing": "delete window.indexedDB; delete Window.prototype.indexedDB;",
    "localstorage-throws": """Object.defineProperty(window, 'localStorage', { get() {
        throw new DOMException('denied', 'SecurityError'); } });""",
    "localstorage-full": """Storage.prototype.setItem = () => {
        throw new DOMException('full', 'QuotaExceededError'); };""",
    "sessionstorage-throws": """Object.defineProperty(window, 'sessionStorage', { get() {
        throw new DOMException('denied', 'SecurityError'); } });""",
    "no-locks": "delete Navigator.prototype.locks;",
    "no-channel": "delete window.BroadcastChannel;",
    "no-worker": "delete Navigator.prototype.serviceWorker;",
    "no-storage-manager": "delete Navigator.prototype.storage;",
    "no-uuid": "delete Crypto.prototype.randomUUID;",
}
STORAGE = [name for name in DENIALS if name.startswith("indexeddb")]
OTHERS = [name for name in DENIALS if not name.startswith("indexeddb")]
COMBINATIONS = [
    *((name,) for name in DENIALS),
    *itertools.product(["indexeddb-throws", "indexeddb-full"], ["localstorage-throws", "no-locks", "no-channel"]),
    ("indexeddb-missing", *(name for name in OTHERS if name != "localstorage-full")),
]


@pytest.mark.parametrize("denied", COMBINATIONS, ids="+".join)
def test_a_log_is_sent_whatever_the_browser_denies(opened, site, denied):
    page = opened("/ui/account", user=OPERATOR)
    page.context.add_init_script("\n".join(DENIALS[name] for name in denied))
    page.goto(NEW)
    # One word: a search for the words of one case would find those of another that denies more.
    words = f"sans{''.join(denied).replace('-', '')}"
    fill(page, words)
    if set(denied) & set(STORAGE):
        page.get_by_text("This device keeps nothing").first.wait_for()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    assert [log["comment"] for log in find_logs(site, words)] == [words]
    for path, ready in (("/ui/logs", "[data-uuid]"), ("/ui/machines", "[data-machine]"), ("/ui/waiting", "h1")):
        page.goto(path)
        page.wait_for_selector(ready)


def test_without_storage_a_log_waits_in_the_page_for_the_network(opened, site):
    page = opened("/ui/account", user=OPERATOR)
    page.context.add_init_script(DENIALS["indexeddb-full"])
    page.goto(NEW)
    go_offline(page)
    fill(page, "garde en memoire")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("this device keeps nothing: leave this page open").wait_for()
    page.screenshot(path=SCREENSHOTS / "keeps-nothing-desk-en-light.png")
    page.context.set_offline(False)
    wait_until_sent(page)
    assert len(find_logs(site, "garde en memoire")) == 1


def test_waiting_writes_survive_the_deletion_of_the_site_data(opened, site):
    page = opened(NEW, user=OPERATOR)
    go_offline(page)
    fill(page, "donnees effacees")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("1 waiting for the network").wait_for()
    session = page.context.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": site.address, "storageTypes": "indexeddb,local_storage"})
    page.context.set_offline(False)
    wait_until_sent(page)
    assert len(find_logs(site, "donnees effacees")) == 1


@pytest.mark.parametrize(("shift", "words"), [(3, "3 h fast"), (-40 * 24, "40 d slow")])
def test_a_wrong_clock_is_corrected_and_the_page_says_so(opened, site, shift, words):
    page = opened("/ui/account", user=OPERATOR, **PHONE)
    page.clock.set_system_time(datetime.now(UTC) + timedelta(hours=shift))
    page.goto(NEW)
    page.get_by_text(f"clock is {words}").wait_for()
    comment = f"horloge fausse de {shift}"
    fill(page, comment)
    begun = datetime.now(UTC)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    (log,) = find_logs(site, comment)
    assert abs(datetime.fromisoformat(log["started_at"]) - begun) < timedelta(seconds=3)
    # The correction is kept: a phone may start without network.
    assert page.evaluate("Math.abs(JSON.parse(localStorage.getItem('mm.clockOffset'))) > 120000")


@pytest.mark.parametrize(
    ("typed", "instant"), [("2026-10-25T02:30", "2026-10-25T00:30:00Z"), ("2026-03-29T02:30", "2026-03-29T01:30:00Z")]
)
def test_a_local_time_that_is_repeated_or_skipped_is_the_instant_of_the_api(opened, site, typed, instant):
    page = opened(NEW, user=SUPERVISOR)
    comment = f"heure {typed}"
    fill(page, comment)
    page.get_by_role("button", name=re.compile("^More")).click()
    assert page.get_by_text("Europe/Paris time").count() == 4
    page.locator("[name=started_at]").fill(typed)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    (log,) = find_logs(site, comment)
    assert log["started_at"] == instant
    assert site.call("POST", "/logs", machine=MACHINE, type="info", started_at=typed)["started_at"] == instant


def test_logs_and_machines_are_readable_offline(opened, site):
    words = "lisible sans reseau"
    uuid = add_log(site, user=OPERATOR, comment=words)
    page = opened("/ui/logs", user=OPERATOR, **PHONE)
    page.wait_for_selector("[data-uuid]")
    page.get_by_role("link", name="Machines").click()
    page.wait_for_selector("[data-machine]")
    go_offline(page)
    page.get_by_role("link", name="Logs", exact=True).click()
    page.locator(f"[data-uuid='{uuid}']").click()
    page.locator("section").get_by_text(words).last.wait_for()
    page.locator(BAR, has_text=re.compile(r"No network · as of \d\d:\d\d")).wait_for()
    page.screenshot(path=SCREENSHOTS / "record-offline-phone-en-light.png")
    page.get_by_role("link", name="Machines").click()
    page.wait_for_selector("[data-machine]")
    assert page.get_by_role("status").get_by_text("▲").count() == 0
    page.context.set_offline(False)


def test_what_is_on_screen_stays_when_the_service_is_away(opened, site):
    uuid = add_log(site, comment="reste a l ecran")
    page = opened(f"/ui/logs/{uuid}", refusals={502})
    page.get_by_role("region", name="Log", exact=True).get_by_text("reste a l ecran").wait_for()
    page.wait_for_selector("[data-uuid]")
    page.route(re.compile(r"/(logs|machines)\b(?!.*/ui/)"), lambda route: route.fulfill(status=502, body="bad gateway"))
    site.call("PATCH", f"/logs/{uuid}", cause="coupure")  # the change feed makes the page read it again
    page.wait_for_timeout(1500)
    assert page.get_by_role("region", name="Log", exact=True).get_by_text("reste a l ecran").is_visible()
    assert page.locator(f"[data-uuid='{uuid}']").is_visible()
    page.unroute_all()


def test_the_copies_are_deleted_when_the_user_signs_out_and_drafts_are_kept(opened):
    page = opened("/ui/sign-in", user=None)
    page.get_by_label("Trigram").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-uuid]")
    keys = """(store) => new Promise((done) => { const open = indexedDB.open('machine-monitor');
        open.onsuccess = () => { const all = open.result.transaction(store).objectStore(store).getAllKeys();
            all.onsuccess = () => done(all.result); }; })"""

    def readable():
        return [key for key in page.evaluate(keys, "known") if key.startswith("copy:") or key in ("machines", "users")]

    wait_until(lambda: "machines" in readable() and len(readable()) > 1)
    page.get_by_role("link", name="New log").click()
    page.get_by_label("Description").fill("typed before signing out")
    page.wait_for_selector("[data-draft-saved=true]")
    drafts = page.evaluate(keys, "drafts")
    assert drafts
    page.evaluate("localStorage.setItem('mm.recent', '[\"Lathe 1\"]')")
    page.goto("/ui/account")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/sign-in*")
    wait_until(lambda: readable() == [])
    assert page.evaluate("localStorage.getItem('mm.recent')") is None
    assert page.evaluate(keys, "drafts") == drafts
