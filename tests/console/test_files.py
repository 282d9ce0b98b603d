"""Photos and files: chosen, pasted and dropped, sent once with the bytes they have, also after a time offline."""

import base64
import io
import re
from functools import cache
from hashlib import sha256
from uuid import uuid4

import pytest
from PIL import Image, ImageDraw

from console.conftest import DESK, LEAD, OPERATOR, PHONE, SCREENSHOTS
from console.test_log_form import DRAFT_SAVED, MACHINE, NEW, add_log
from console.test_offline import BAR, fill, find_logs, go_offline, wait_until, wait_until_sent
from console.test_storage import DENIALS

PICKER = "input[data-picker]"
CHOSEN, WAITING, SENT = "[data-file]", "[data-waiting-file]", "[data-attachment]"
SCREENS = pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
# Let the page receive an event with files, as the browser makes it for a paste or a drop.
TRANSFER = """([type, files]) => {
    const transfer = new DataTransfer();
    for (const [name, kind, content] of files)
        transfer.items.add(new File([Uint8Array.from(atob(content), (one) => one.charCodeAt())], name, { type: kind }));
    const init = { bubbles: true, cancelable: true };
    const event = type === 'paste' ? new ClipboardEvent(type, { ...init, clipboardData: transfer }) :
        new DragEvent(type, { ...init, dataTransfer: transfer });
    document.querySelector('main').dispatchEvent(event); }"""


@cache
def photo(number):
    """A picture of a machine, as a phone might make it; each number is another one."""
    picture = Image.new("RGB", (1200, 900), (90 + 25 * number, 110, 150 - 20 * number))
    draw = ImageDraw.Draw(picture)
    for step in range(12):
        draw.rectangle((80 * step, 420 - 30 * (step % 4), 80 * step + 52, 780), fill=(40 + 14 * step, 60, 70))
    draw.ellipse((700, 120 + 30 * number, 980, 400 + 30 * number), fill=(220, 180, 60), outline=(30, 30, 30), width=12)
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=90, comment=str(number).encode())
    return target.getvalue()


def name_of(screen):
    return "phone" if screen is PHONE else "desk"


def upload(name, content, kind="image/jpeg"):
    return {"name": name, "mimeType": kind, "buffer": content}


PHOTOS = [upload(f"broche {number}.jpg", photo(number)) for number in (1, 2, 3)]


def transfer(page, event, files):
    encoded = [[one["name"], one["mimeType"], base64.b64encode(one["buffer"]).decode()] for one in files]
    page.evaluate(TRANSFER, [event, encoded])


def digests(files):
    return sorted(sha256(one["buffer"]).hexdigest() for one in files)


def sent_digests(site, uuid):
    return sorted(one["sha256"] for one in site.call("GET", f"/logs/{uuid}")["attachments"])


def attach(site, path, files):
    """Add files to a record as the admin, without the browser."""
    for one in files:
        site.upload(f"{path}/attachments/{uuid4()}", one["name"], one["buffer"])


def choose(page, files, count=None):
    page.locator(PICKER).set_input_files(files)
    page.wait_for_function(
        "([selector, count]) => document.querySelectorAll(selector).length === count", arg=[CHOSEN, count or len(files)]
    )


@SCREENS
def test_a_log_with_photos_written_offline_is_sent_once_with_each_photo(opened, site, screen):
    page = opened("/ui/account", user=OPERATOR, service_workers="allow", **screen)
    puts = []
    page.on("request", lambda request: request.method == "PUT" and puts.append(request.url))
    page.goto(NEW)
    page.evaluate("navigator.serviceWorker.ready")
    words = f"trois photos hors ligne {len(screen)}"
    fill(page, words)
    go_offline(page)
    choose(page, PHOTOS)
    page.wait_for_selector(DRAFT_SAVED)
    page.screenshot(path=SCREENSHOTS / f"form-files-{name_of(screen)}-en-light.png")
    # The page is loaded again, twice: once with a draft, once with what waits.
    page.reload()
    page.locator(CHOSEN).nth(2).wait_for()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Saved on this device. It will be sent").wait_for()
    page.reload()
    page.get_by_text("3 files waiting").click()
    page.get_by_text(words).wait_for()
    page.locator(WAITING).nth(2).wait_for()
    page.screenshot(path=SCREENSHOTS / f"waiting-files-{name_of(screen)}-en-light.png")
    assert find_logs(site, words) == []
    puts.clear()
    page.context.set_offline(False)
    wait_until_sent(page)
    (log,) = find_logs(site, words)
    assert sent_digests(site, log["uuid"]) == digests(PHOTOS)
    assert [one["name"] for one in log["attachments"]] == [one["name"] for one in PHOTOS]
    assert len([url for url in puts if "/attachments/" in url]) == 3
    page.get_by_text("Everything is sent.").wait_for()


def test_a_lost_response_and_a_server_error_add_no_photo_twice(opened, site):
    page = opened("/ui/account", user=OPERATOR, refusals={503})
    statuses = []

    def lose(route):
        statuses.append("lost")
        route.fetch()
        route.abort("internetdisconnected")

    def fail(route):
        statuses.append("failed")
        route.fulfill(status=503, json={"code": "database-busy", "status": 503, "detail": "busy"})

    page.route("**/attachments/*", fail, times=1)
    page.route("**/attachments/*", lose, times=1)
    page.goto(NEW)
    fill(page, "reponse de photo perdue")
    choose(page, PHOTOS[:2])
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent. 2 files follow.").wait_for()
    wait_until_sent(page)
    assert statuses == ["lost", "failed"]
    (log,) = find_logs(site, "reponse de photo perdue")
    assert sent_digests(site, log["uuid"]) == digests(PHOTOS[:2])


def test_files_are_pasted_dropped_and_removed_in_the_form(opened, site):
    page = opened(NEW, user=OPERATOR)
    fill(page, "colle et depose")
    transfer(page, "paste", PHOTOS[:1])
    page.locator(CHOSEN).nth(0).wait_for()
    transfer(page, "drop", [PHOTOS[1], upload("notes.txt", b"08:10 loud", "text/plain"), PHOTOS[2]])
    page.locator(CHOSEN).nth(3).wait_for()
    page.get_by_role("button", name="Remove broche 2.jpg").click()
    page.locator(CHOSEN).nth(3).wait_for(state="detached")
    page.wait_for_selector(DRAFT_SAVED)
    assert page.get_by_label("Description").input_value() == "colle et depose"
    page.get_by_role("button", name="Send").click()
    page.get_by_text("3 files follow").wait_for()
    wait_until_sent(page)
    (log,) = find_logs(site, "colle et depose")
    assert [one["name"] for one in log["attachments"]] == ["broche 1.jpg", "notes.txt", "broche 3.jpg"]


def test_the_files_of_a_discarded_draft_are_deleted_from_the_device(opened):
    page = opened(NEW, user=OPERATOR)
    fill(page, "brouillon a jeter")
    choose(page, PHOTOS)
    page.wait_for_selector(DRAFT_SAVED)
    assert len(stored_files(page)) == 3
    page.get_by_role("button", name="Clear").click()
    page.locator(CHOSEN).first.wait_for(state="detached")
    wait_until(lambda: stored_files(page) == [])


def stored_files(page):
    """The keys of the files on the device."""
    keys = page.evaluate("""new Promise((done) => { const open = indexedDB.open('machine-monitor');
        open.onsuccess = () => { const all = open.result.transaction('known').objectStore('known').getAllKeys();
            all.onsuccess = () => done(all.result); }; })""")
    return [key for key in keys if key.startswith("file:")]


@SCREENS
def test_files_are_added_to_a_record_renamed_and_removed(opened, site, screen, axe):
    uuid = add_log(site, user=OPERATOR, comment="photos apres coup", machine=MACHINE)
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR, **screen)
    page.locator(PICKER).set_input_files([*PHOTOS, upload("mesures.csv", b"a;b\n1;2\n", "text/csv")])
    page.locator(SENT).nth(3).wait_for()
    assert sent_digests(site, uuid) == digests([*PHOTOS, upload("", b"a;b\n1;2\n")])
    wait_until(lambda: stored_files(page) == [])
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-attachment] img')].filter((one) => one.naturalWidth).length === 3"
    )
    page.screenshot(path=SCREENSHOTS / f"record-files-{name_of(screen)}-en-light.png")
    assert axe(page) == []
    csv = page.locator(SENT, has_text="mesures.csv")
    csv.get_by_role("button", name="Rename").click()
    page.get_by_role("dialog").get_by_label("File name").fill("mesures du 27.csv")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    page.locator(SENT, has_text="mesures du 27.csv").get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_text("File removed.").wait_for()
    wait_until(lambda: sent_digests(site, uuid) == digests(PHOTOS))
    page.get_by_text("removed the file mesures du 27.csv").wait_for()
    # The service keeps every step, with its name.
    steps = [entry["op"] for entry in site.call("GET", f"/logs/{uuid}/history")["items"]]
    assert steps == [*["update"] * 6, "create"]


def test_only_users_with_the_right_see_the_buttons(opened, site):
    uuid = add_log(site, user=LEAD, comment="photos des autres")
    attach(site, f"/logs/{uuid}", PHOTOS[:1])
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    page.locator(SENT).click()
    page.get_by_role("dialog").get_by_role("link", name="Download").wait_for()
    assert page.get_by_role("button", name=re.compile("Rename|Remove")).count() == 0
    page.keyboard.press("Escape")
    assert page.locator(PICKER).count() == 0
    transfer(page, "paste", PHOTOS[1:2])
    page.wait_for_timeout(300)
    assert sent_digests(site, uuid) == digests(PHOTOS[:1])


def test_an_edit_that_was_begun_before_a_photo_arrived_is_no_conflict(opened, site):
    uuid = add_log(site, user=OPERATOR, comment="avant la photo")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Description").fill("apres la photo")
    attach(site, f"/logs/{uuid}", PHOTOS[:1])
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.", exact=True).wait_for()
    log = site.call("GET", f"/logs/{uuid}")
    assert (log["comment"], log["attachment_count"]) == ("apres la photo", 1)


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("file-too-large", 413, "too large for this site"),
        ("storage-full", 507, "disk of the service is full"),
        ("files-unavailable", 503, "no folder for files yet"),
    ],
)
def test_a_refused_file_says_why_and_can_be_sent_again_or_thrown_away(opened, site, code, status, words):
    page = opened("/ui/account", user=OPERATOR, refusals={status})
    problem = {"code": code, "status": status, "detail": "refused"}
    page.route("**/attachments/*", lambda route: route.fulfill(status=status, json=problem), times=2)
    page.goto(NEW)
    fill(page, f"fichier refuse {status}")
    choose(page, PHOTOS[:2])
    page.get_by_role("button", name="Send").click()
    page.locator(BAR, has_text="2 to fix").wait_for()
    page.locator(f"{BAR} a").click()
    page.get_by_text(words).nth(1).wait_for()
    page.screenshot(path=SCREENSHOTS / f"waiting-file-{code}-desk-en-light.png")
    page.get_by_role("button", name="Throw away").first.click()
    page.get_by_text(words).nth(1).wait_for(state="detached")
    page.get_by_role("button", name="Send again").click()
    page.get_by_text("Everything is sent.").wait_for()
    (log,) = find_logs(site, f"fichier refuse {status}")
    assert sent_digests(site, log["uuid"]) == digests(PHOTOS[1:2])
    assert stored_files(page) == []


def test_a_file_above_the_limit_of_the_site_is_refused_by_the_service(opened, tmp_path):
    page = opened(NEW, user=OPERATOR, refusals={413})
    fill(page, "trop gros")
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(26 * 2**20))
    choose(page, [film])
    page.get_by_role("button", name="Send").click()
    page.locator(BAR, has_text="1 to fix").wait_for()
    page.locator(f"{BAR} a").click()
    page.get_by_text("too large for this site").wait_for()
    page.get_by_role("button", name="Throw away").click()
    page.get_by_text("Everything is sent.").wait_for()


@pytest.mark.parametrize("denied", ["indexeddb-throws", "indexeddb-full", "indexeddb-missing", "no-storage-manager"])
def test_photos_are_sent_whatever_the_browser_denies(opened, site, denied):
    page = opened("/ui/account", user=OPERATOR)
    page.context.add_init_script(DENIALS[denied])
    page.goto(NEW)
    words = f"photossans{denied.replace('-', '')}"
    fill(page, words)
    choose(page, PHOTOS[:2])
    if denied.startswith("indexeddb"):
        page.get_by_text("This device keeps nothing").first.wait_for()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("2 files follow").wait_for()
    wait_until_sent(page)
    (log,) = find_logs(site, words)
    assert sent_digests(site, log["uuid"]) == digests(PHOTOS[:2])


NO_ROOM_FOR_FILES = """const put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (value, key) {
        if (String(key).startsWith('file:')) throw new DOMException('full', 'QuotaExceededError');
        return put.apply(this, arguments); };
    StorageManager.prototype.estimate = async () => ({ quota: 100e6, usage: 88e6 });"""


def test_a_photo_that_does_not_fit_loses_no_text(opened, site):
    page = opened("/ui/account", user=OPERATOR, **PHONE)
    page.context.add_init_script(NO_ROOM_FOR_FILES)
    page.goto(NEW)
    page.get_by_text("This device has room for only 12 MB more.").wait_for()
    fill(page, "plus de place pour la photo")
    choose(page, PHOTOS[:1])
    page.get_by_text("This device has no room for broche 1.jpg. Your text is kept.").wait_for()
    page.wait_for_selector(DRAFT_SAVED)
    page.screenshot(path=SCREENSHOTS / "form-no-room-phone-en-light.png")
    go_offline(page)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("1 waiting for the network").wait_for()
    # This page still has the photo. Without it, the text is sent, and the loss is said.
    page.context.set_offline(False)
    wait_until_sent(page)
    (log,) = find_logs(site, "plus de place pour la photo")
    assert sent_digests(site, log["uuid"]) == digests(PHOTOS[:1])


def test_a_photo_that_was_lost_with_its_page_is_said_and_the_text_is_sent(opened, site):
    page = opened("/ui/account", user=OPERATOR, service_workers="allow")
    page.context.add_init_script(NO_ROOM_FOR_FILES)
    page.goto(NEW)
    page.evaluate("navigator.serviceWorker.ready")
    fill(page, "photo perdue avec la page")
    choose(page, PHOTOS[:1])
    go_offline(page)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("1 waiting for the network").wait_for()
    page.reload()
    page.context.set_offline(False)
    page.locator(BAR, has_text="1 to fix").wait_for()
    page.locator(f"{BAR} a").click()
    page.get_by_text("no longer has this file").wait_for()
    page.get_by_role("button", name="Throw away").click()
    page.get_by_text("Everything is sent.").wait_for()
    (log,) = find_logs(site, "photo perdue avec la page")
    assert log["attachment_count"] == 0


def test_a_photo_chosen_at_the_moment_of_sending_is_sent(opened, site):
    page = opened("/ui/account", user=OPERATOR)
    # The device takes its time to store a file.
    page.context.add_init_script("""const slice = Blob.prototype.slice;
        Blob.prototype.slice = function (...range) { const part = slice.apply(this, range);
            const read = part.arrayBuffer.bind(part);
            part.arrayBuffer = () => new Promise((done) => setTimeout(() => done(read()), 500)); return part; };""")
    page.goto(NEW)
    fill(page, "photo de derniere seconde")
    page.locator(PICKER).set_input_files(PHOTOS[:2])
    page.get_by_role("button", name="Send").click()
    # The user does not wait, either.
    page.get_by_role("link", name="Machines").click()
    page.get_by_text("2 files follow").wait_for()
    wait_until_sent(page)
    (log,) = find_logs(site, "photo de derniere seconde")
    assert sent_digests(site, log["uuid"]) == digests(PHOTOS[:2])
