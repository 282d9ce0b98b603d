"""What operators do most, in Firefox and WebKitGTK: the other tests of the console run in Chromium only."""

import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from api.access.site import PASSWORD
from console.conftest import OPERATOR
from console.test_files import photo
from console.test_log_form import MACHINE, NEW, add_log
from console.test_offline import BAR, find_logs
from console.test_storage import DENIALS
from outside.browsers.page import ENTER, wait_until

pytestmark = [pytest.mark.outside, pytest.mark.untraced]


# Once the page has loaded what it needs offline.
READY = f"{BAR} [data-ready=true]"


def sign_in(page, path="/ui/"):
    page.open("/ui/sign-in")
    page.fill("[name=trigram]", OPERATOR)
    page.fill("[name=password]", PASSWORD + ENTER)
    page.wait_for("[data-uuid]")
    if path != "/ui/":
        # Leave no page while it prepares for offline use: the next page in WebKitGTK may then have no storage.
        page.wait_for(READY)
        page.open(path)


def write_log(page, words):
    page.click("label", "Info")
    page.fill("[name=comment]", words)
    page.click("button", "Send")


def test_a_user_signs_in_and_sees_the_newest_logs(page, service):
    sign_in(page)
    newest = service.call("GET", "/logs?limit=1")["items"][0]["uuid"]
    assert page.call("() => document.querySelector('[data-uuid]').dataset.uuid") == newest
    page.wait_for("[title=Live]")


def test_a_log_is_written_and_sent(page, service):
    sign_in(page, NEW)
    write_log(page, "broche bruyante")
    page.wait_for_text("Log sent.")
    (log,) = find_logs(service, "broche bruyante")
    assert (log["machine"], log["type"], log["user"]) == (MACHINE, "info", OPERATOR)
    service.call("DELETE", f"/logs/{log['uuid']}")


def test_a_log_written_offline_is_sent_when_the_service_is_back(page, service):
    sign_in(page, NEW)
    page.wait_for(READY)
    with service.stopped():
        write_log(page, "hors ligne")
        written = datetime.now(UTC)
        page.wait_for_text("Saved on this device. It will be sent")
        page.wait_for_text("1 waiting for the network")
    page.wait_for(f"{BAR} a", count=0)
    (log,) = find_logs(service, "hors ligne")
    assert abs(datetime.fromisoformat(log["started_at"]) - written) < timedelta(seconds=2)
    service.call("DELETE", f"/logs/{log['uuid']}")


# Let the picker have a file, as if the user had chosen it.
CHOOSE = """(name, content) => {
    const transfer = new DataTransfer();
    const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt());
    transfer.items.add(new File([bytes], name, { type: 'image/jpeg' }));
    const picker = document.querySelector('[data-picker]');
    picker.files = transfer.files;
    picker.dispatchEvent(new Event('change', { bubbles: true }));
}"""
IS_SHOWN = "() => document.querySelector('[data-attachment] img')?.naturalWidth > 0"


def test_a_photo_chosen_offline_is_sent_with_the_bytes_it_has(page, service):
    sign_in(page, NEW)
    page.wait_for(READY)
    with service.stopped():
        page.call(CHOOSE, "broche.jpg", b64encode(photo(1)).decode())
        page.wait_for("[data-file] img")
        write_log(page, "photo hors ligne")
        page.wait_for_text("1 file waiting")
    page.wait_for(f"{BAR} a", count=0)
    (log,) = find_logs(service, "photo hors ligne")
    (sent,) = log["attachments"]
    assert (sent["name"], sent["sha256"]) == ("broche.jpg", sha256(photo(1)).hexdigest())
    page.open(f"/ui/logs/{log['uuid']}")
    page.wait_for("[data-attachment] img")
    wait_until(lambda: page.call(IS_SHOWN), lambda: "the photo is not shown")
    service.call("DELETE", f"/logs/{log['uuid']}")


@pytest.mark.parametrize("denied", ["indexeddb-throws", "localstorage-throws"])
def test_a_log_is_sent_where_storage_is_denied(page, service, inject, denied):
    inject(DENIALS[denied])
    sign_in(page, NEW)
    if denied == "indexeddb-throws":
        page.wait_for_text("This device keeps nothing")
    words = f"sans {denied.replace('-', ' ')}"
    write_log(page, words)
    page.wait_for_text("Log sent.")
    (log,) = find_logs(service, words)
    service.call("DELETE", f"/logs/{log['uuid']}")


def test_a_search_finds_logs_while_typing(page, service):
    uuid = add_log(service, comment="Nettoyage du plateau")
    sign_in(page)
    page.type("/NETTOYAGE pla")
    page.wait_for("[data-shown-search='NETTOYAGE pla*'] mark")
    page.wait_for(f"[data-uuid='{uuid}'] mark")
    marked = page.call("() => [...document.querySelectorAll('mark')].map((one) => one.textContent)")
    assert {word.lower() for word in marked} >= {"nettoyage"}
    assert all(re.match("nettoyage|pla", word, re.IGNORECASE) for word in marked)
    service.call("DELETE", f"/logs/{uuid}")


def test_a_log_is_edited(page, service):
    uuid = add_log(service, user=OPERATOR, comment="bruit faible")
    sign_in(page, f"/ui/logs/{uuid}")
    page.click("button", "Edit")
    page.fill("[name=comment]", "bruit fort")
    page.click("button", "Save")
    page.wait_for_text("Saved.")
    assert service.call("GET", f"/logs/{uuid}")["comment"] == "bruit fort"


def test_the_end_of_a_stop_is_one_press(page, service):
    begun = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    uuid = add_log(service, user=OPERATOR, status="open", comment="arret", down_from=begun)
    sign_in(page, f"/ui/logs/{uuid}")
    page.click("[role=switch][aria-checked=true]")
    pressed = datetime.now(UTC)
    page.wait_for_text("The machine is running again.")

    def down_to():
        return service.call("GET", f"/logs/{uuid}")["down_to"]

    wait_until(down_to, lambda: "the stop has no end")
    assert abs(datetime.fromisoformat(down_to()) - pressed) < timedelta(seconds=2)
