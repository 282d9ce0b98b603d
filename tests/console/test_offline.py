"""Logs written without network are stored on the device, and sent later: in order, and each exactly once."""

import contextlib
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api.access.site import PASSWORD
from console.conftest import CHROMIUM, LEAD, OPERATOR, PATIENCE_MS, PHONE, SCREENSHOTS
from machine_monitor.api.serving import console

DRAFT_SAVED = "[data-draft-saved=true]"
MACHINE = "Tour CN 1"
NEW = f"/ui/new?machine={MACHINE}"
BAR = ".outbox"
# Remove the browser features that plain http on a LAN address does not have.
PLAIN = """Object.defineProperty(window, 'isSecureContext', { value: false }); delete Navigator.prototype.locks;
delete Crypto.prototype.randomUUID; delete Navigator.prototype.serviceWorker;"""


def fill(page, words, kind="Info"):
    page.get_by_role("radio", name=kind, exact=True).check()
    page.get_by_label("Description").fill(words)


def write(page, words, kind="Info"):
    """Write a log in the new-log form, and wait until it is in the outbox."""
    fill(page, words, kind)
    page.get_by_role("button", name="Send").click()
    # The message alone may be that of an earlier write.
    page.get_by_role("button", name="Send", exact=True).wait_for(state="detached")
    page.get_by_text("Saved on this device. It will be sent").wait_for()


def find_logs(site, words):
    return site.call("GET", f"/logs?q=%22{words}%22&sort=started_at")["items"]


def wait_until_sent(page):
    """Wait until the outbox is empty."""
    # The bar is loaded after the page.
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    page.locator(f"{BAR} a").wait_for(state="detached")


def go_offline(page):
    """Cut the network, once the tab has loaded what it needs offline."""
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    page.context.set_offline(True)


def wait_until(condition):
    """Poll a condition. The page's content security policy forbids `wait_for_function` with a string."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for_worker(page):
    """Wait until the service worker controls the page: before that, no files are cached."""
    page.evaluate("""new Promise((done) => {
        if (navigator.serviceWorker.controller) done();
        else navigator.serviceWorker.addEventListener('controllerchange', done, { once: true });
    })""")


@pytest.fixture
def browser(site, chromium, sessions, tmp_path):
    """Launch a browser whose storage survives when it is closed."""
    with contextlib.ExitStack() as stack:

        def launch(*, offline=False):
            options = {"executable_path": CHROMIUM, "base_url": site.address, "locale": "en-GB", "offline": offline}
            context = chromium.browser_type.launch_persistent_context(tmp_path / "profile", **options, **PHONE)
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            context.add_cookies(sessions(OPERATOR))
            return context

        yield launch


def test_a_log_written_offline_is_sent_when_the_network_returns(opened, site):
    page = opened(NEW, user=OPERATOR, **PHONE)
    go_offline(page)
    write(page, "hors ligne au fond du hall", "Breakdown")
    written = datetime.now(UTC)
    page.get_by_text("1 waiting for the network").click()
    page.get_by_text("hors ligne au fond du hall").wait_for()
    assert find_logs(site, "hors ligne au fond du hall") == []
    page.wait_for_timeout(1500)
    page.context.set_offline(False)
    wait_until_sent(page)
    (log,) = find_logs(site, "hors ligne au fond du hall")
    assert log["user"] == OPERATOR
    assert abs(datetime.fromisoformat(log["started_at"]) - written) < timedelta(seconds=1.4)
    page.get_by_text("Everything is sent.").wait_for()


def test_unsent_logs_and_drafts_survive_a_browser_restart(browser, site):
    context = browser()
    page = context.new_page()
    page.goto(NEW)
    wait_for_worker(page)
    context.set_offline(True)
    write(page, "ecrit avant la panne de batterie")
    page.goto("/ui/new?machine=Fraiseuse 1")
    fill(page, "a moitie ecr")
    page.wait_for_selector(DRAFT_SAVED)
    context.close()

    context = browser(offline=True)
    page = context.new_page()
    page.goto("/ui/new")
    page.locator(BAR, has_text="1 waiting for the network").wait_for()
    page.get_by_label("Machine").first.fill("rectif")
    page.get_by_role("option", name="Rectifieuse 1").wait_for()
    page.get_by_label("Machine").first.fill("")
    page.get_by_role("link", name="Fraiseuse 1").click()
    wait_until(lambda: page.get_by_label("Description").input_value() == "a moitie ecr")
    assert page.get_by_role("radio", name="Info", exact=True).first.is_checked()
    context.set_offline(False)
    wait_until_sent(page)
    assert len(find_logs(site, "ecrit avant la panne de batterie")) == 1
    assert find_logs(site, "a moitie ecr") == []


@pytest.mark.parametrize("plain", [False, True], ids=["locks", "lease"])
def test_two_tabs_send_in_order_and_each_log_once(opened, site, plain):
    page = opened("/ui/account", user=OPERATOR)
    if plain:
        page.context.add_init_script(PLAIN)
    puts = []
    page.context.on("request", lambda request: request.method == "PUT" and puts.append(request.url))
    page.goto(NEW)
    other = page.context.new_page()
    other.goto(NEW)
    for tab in (page, other):
        tab.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    page.context.set_offline(True)
    words = f"ordre {'bail' if plain else 'verrou'}"
    for tab, number in ((page, 1), (other, 2), (page, 3)):
        if number == 3:
            tab.keyboard.press("n")
            tab.get_by_role("button", name=MACHINE).click()
        write(tab, f"{words} {number}")
    puts.clear()
    page.context.set_offline(False)
    wait_until_sent(page)
    wait_until_sent(other)
    written = [log["uuid"] for log in find_logs(site, words)]
    assert [log["comment"] for log in find_logs(site, words)] == [f"{words} {number}" for number in (1, 2, 3)]
    arrived = [change["key"] for change in changes(site) if change["key"] in written]
    assert arrived == written
    assert sorted(puts) == sorted({url for url in puts if url.rpartition("/")[2] in written})


def changes(site):
    since, all_changes = 0, []
    while page := site.call("GET", f"/changes?since={since}&limit=500"):
        if not page["items"]:
            return all_changes
        all_changes += page["items"]
        since = page["next"]
    return all_changes


def test_a_log_whose_response_was_lost_is_stored_once(opened, site):
    page = opened(NEW, user=OPERATOR)
    statuses = []

    def lose(route):
        statuses.append(route.fetch().status)
        route.abort("internetdisconnected")

    page.route("**/logs/*", lose, times=1)
    page.on("response", lambda response: response.request.method == "PUT" and statuses.append(response.status))
    fill(page, "reponse perdue en route")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Saved on this device. It will be sent").wait_for()
    wait_until_sent(page)
    assert statuses == [201, 412]
    assert len(find_logs(site, "reponse perdue en route")) == 1


def test_a_refused_log_says_why_does_not_block_others_and_can_be_fixed(opened, site, axe):
    page = opened(NEW, user=OPERATOR, **PHONE)
    go_offline(page)
    write(page, "type mis de cote", "Reload")
    page.get_by_role("link", name="New log").click()
    page.get_by_role("button", name=MACHINE).click()
    write(page, "apres le refus")
    site.call("PATCH", "/log-types/reload", active=False)
    try:
        page.context.set_offline(False)
        page.locator(BAR, has_text=re.compile("^\\s*1 to fix\\s*$")).wait_for()
        assert len(find_logs(site, "apres le refus")) == 1
        page.locator(f"{BAR} a").click()
        page.get_by_text("Some fields need fixing.").wait_for()
        page.screenshot(path=SCREENSHOTS / "waiting-refused-phone-en-light.png")
        assert axe(page) == []
        page.get_by_role("link", name="Fix", exact=True).click()
        page.wait_for_selector("[role=radiogroup][aria-invalid=true]")
        assert page.get_by_label("Description").input_value() == "type mis de cote"
        page.screenshot(path=SCREENSHOTS / "fix-phone-en-light.png")
        page.get_by_role("radio", name="Setting", exact=True).check()
        page.get_by_role("button", name="Send").click()
        page.get_by_text("Log sent.").wait_for()
    finally:
        site.call("PATCH", "/log-types/reload", active=True)
    assert [log["type"] for log in find_logs(site, "type mis de cote")] == ["setting"]
    assert page.locator(f"{BAR} a").count() == 0


def test_a_log_waits_for_its_author_to_sign_in(opened, site):
    def sign_in(page, trigram):
        page.get_by_label("Trigram").fill(trigram)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")

    page = opened("/ui/sign-in", user=None)
    sign_in(page, OPERATOR)
    page.wait_for_selector("[data-uuid]")
    page.goto(NEW)
    go_offline(page)
    write(page, "session finie entre temps")
    page.context.clear_cookies()
    page.context.set_offline(False)
    page.wait_for_url("**/ui/sign-in*")
    sign_in(page, LEAD)
    page.get_by_text("1 log waiting").click()
    page.get_by_text(f"waiting for {OPERATOR} to sign in").wait_for()
    assert find_logs(site, "session finie entre temps") == []
    page.context.clear_cookies()
    page.goto("/ui/sign-in")
    sign_in(page, OPERATOR)
    page.wait_for_selector("[data-uuid]")
    wait_until_sent(page)
    assert [log["user"] for log in find_logs(site, "session finie entre temps")] == [OPERATOR]


def test_plain_http_works_online_and_warns_about_offline_use(opened, site):
    page = opened("/ui/account", user=OPERATOR)
    page.context.add_init_script(PLAIN)
    page.goto(NEW)
    page.get_by_text("This site does not use https").wait_for()
    fill(page, "sans https mais en ligne")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    assert len(find_logs(site, "sans https mais en ligne")) == 1


def test_a_new_build_waits_for_the_update_button_and_loses_no_draft(browser):
    page = browser().new_page()
    page.goto(NEW)
    wait_for_worker(page)
    fill(page, "brouillon pendant la mise a jour")
    page.wait_for_selector(DRAFT_SAVED)
    files = console.load()._files
    worker = files["sw.js"]
    newer = worker.content.replace(b"const BUILD = '", b"const BUILD = 'newer-")
    files["sw.js"] = replace(worker, content=newer, encoded={}, headers={**worker.headers, "ETag": 'W/"newer"'})
    try:
        page.evaluate("navigator.serviceWorker.getRegistration().then((one) => one.update())")
        button = page.get_by_role("button", name="New version")
        button.wait_for()
        assert page.get_by_label("Description").input_value() == "brouillon pendant la mise a jour"
        with page.expect_navigation():
            button.click()
        wait_until(lambda: page.get_by_label("Description").input_value() == "brouillon pendant la mise a jour")
        wait_until(lambda: [name[:9] for name in page.evaluate("caches.keys()")] == ["mm-newer-"])
    finally:
        files["sw.js"] = worker


def test_the_worker_caches_the_build_and_no_api_response(browser):
    page = browser().new_page()
    page.goto("/ui/")
    wait_for_worker(page)
    cached = page.evaluate(
        "caches.keys().then(([name]) => caches.open(name)).then((cache) => cache.keys())"
        ".then((requests) => requests.map((one) => new URL(one.url).pathname))"
    )
    built = [path for path in console.load()._files if path.endswith((".js", ".css")) and path != "sw.js"]
    assert {f"/ui/{path}" for path in built} | {"/ui/"} <= set(cached)
    assert all(path.startswith("/ui/") for path in cached)


def test_the_outbox_page_in_french(opened):
    page = opened(NEW, user=OPERATOR, locale="fr-FR", color_scheme="dark")
    go_offline(page)
    page.get_by_role("radio", name="Panne", exact=True).check()
    page.get_by_label("Constat").fill("Pas de réseau au fond du hall")
    page.get_by_role("button", name="Envoyer").click()
    page.get_by_text("1 en attente du réseau").click()
    page.get_by_role("heading", name="Pas encore envoyé").wait_for()
    page.screenshot(path=SCREENSHOTS / "waiting-desk-fr-dark.png")
    page.context.set_offline(False)
    wait_until_sent(page)
