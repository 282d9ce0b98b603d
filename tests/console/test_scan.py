"""QR labels in a browser: the page that they open, and the scanner."""

import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import segno

from console.conftest import ADMIN, DESK, LEAD, OPERATOR, PHONE, SCREENSHOTS, SUPERVISOR, VIEWER, WHOLE_CHROMIUM
from console.test_offline import wait_until

SIDE = 480
SCALE = 8
WHITE, GREY = 235, 128
BAR = ".outbox"
DRAFT_SAVED = "[data-draft-saved=true]"
FRENCH = {"locale": "fr-FR"}


@pytest.fixture(scope="session")
def scanned(site):
    """The machine whose label the camera sees, with a log that says why it failed."""
    machine = site.call("POST", "/machines", name="Palan du quai", sector="Hall 9")
    add_log(
        site, machine, comment="palan bloque en haut", cause="borne desserree dans l armoire", action="borne resserree"
    )
    return machine


@pytest.fixture(scope="module")
def chromium(site, scanned, tmp_path_factory):
    """Chromium with a camera that sees this label. It has no barcode detector here, so the console loads its own."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not WHOLE_CHROMIUM.is_file():
        pytest.skip(f"needs Chromium at {WHOLE_CHROMIUM}, or where MM_TEST_CHROMIUM says")
    video = tmp_path_factory.mktemp("camera") / "label.y4m"
    video.write_bytes(film(f"{site.address}/ui/m/{scanned['id']}"))
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={video}"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=WHOLE_CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def machine(site):
    """A machine of this test alone."""
    return site.call("POST", "/machines", name=f"Pont {secrets.token_hex(3)}", sector="Hall 9")


def film(text):
    """A film of a QR code, as raw video (YUV4MPEG2) of two frames."""
    matrix = segno.make(text, error="q", micro=False).matrix
    luma = bytearray([WHITE]) * (SIDE * SIDE)
    first = (SIDE - len(matrix) * SCALE) // 2
    for row, line in enumerate(matrix):
        for column, dark in enumerate(line):
            for y in range(SCALE if dark else 0):
                start = (first + row * SCALE + y) * SIDE + first + column * SCALE
                luma[start : start + SCALE] = bytes([16]) * SCALE
    frame = b"FRAME\n" + luma + bytes([GREY]) * (SIDE * SIDE // 2)
    return f"YUV4MPEG2 W{SIDE} H{SIDE} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 2


def add_log(site, machine, **values):
    return site.call("POST", "/logs", **{"machine": machine["name"], "type": "error", **values})


def ago(**span):
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def logs_of(site, machine):
    return site.call("GET", f"/logs?machine={quote(machine['name'])}")["items"]


def go_offline(page):
    page.wait_for_selector(f"{BAR} [data-ready=true]", state="attached")
    page.context.set_offline(True)


def take_picture(page, axe, name):
    assert axe(page) == []
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_a_label_shows_what_is_known_about_its_machine(opened, site, machine):
    for number in range(6):
        add_log(site, machine, comment=f"panne {number}", started_at=ago(days=8 - number))
    add_log(site, machine, comment="palan bloque", cause="borne desserree", action="borne resserree")
    page = opened(f"/ui/m/{machine['id']}", user=OPERATOR, **PHONE)
    page.get_by_role("heading", name=machine["name"]).wait_for()
    page.get_by_text("No stop reported").wait_for()
    rows = page.locator("[data-uuid]")
    assert rows.count() == 5
    assert all(
        text in rows.first.inner_text() for text in ("Breakdown", "palan bloque", "borne desserree", "borne resserree")
    )
    page.get_by_role("link", name="Whole history").click()
    page.wait_for_url(f"**/ui/machines/{quote(machine['name'])}")
    page.go_back()
    rows.first.click()
    page.get_by_role("heading", name="Cause").wait_for()


def test_a_label_leads_a_viewer_to_the_page_of_its_machine(opened, machine):
    page = opened(f"/ui/m/{machine['id']}", user=VIEWER)
    page.wait_for_url(f"**/ui/machines/{quote(machine['name'])}")
    page.goto("/ui/m/999999")
    page.get_by_text("Machine not found.").wait_for()


def test_one_press_reports_a_breakdown(opened, site, machine):
    page = opened(f"/ui/m/{machine['id']}", user=OPERATOR, **PHONE)
    begun = datetime.now(UTC)
    page.get_by_role("button", name="Breakdown").click()
    assert page.get_by_role("radio", name="Breakdown", exact=True).is_checked()
    assert page.get_by_role("switch").get_attribute("aria-checked") == "true"
    page.wait_for_selector("[name=comment]:focus")
    # The severity is among the fields that are not shown.
    page.get_by_role("button", name=re.compile("^More.*Major")).wait_for()
    page.keyboard.type("palan bloque")
    page.wait_for_selector(DRAFT_SAVED)
    page.reload()
    page.locator("[name=comment]").wait_for()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    (log,) = logs_of(site, machine)
    assert (log["type"], log["severity"], log["status"], log["comment"]) == ("error", "major", "open", "palan bloque")
    assert abs(datetime.fromisoformat(log["down_from"]) - begun) < timedelta(seconds=2)
    # The page shows the stop, and its author ends it.
    page.get_by_text("Stopped for 0 min").first.wait_for()
    page.get_by_role("button", name="Runs again and done").wait_for()


def test_something_else_opens_an_empty_form(opened, machine):
    page = opened(f"/ui/m/{machine['id']}", user=OPERATOR)
    page.get_by_role("button", name="Something else").click()
    page.wait_for_url(f"**/ui/new?machine={quote(machine['name'])}")
    page.wait_for_selector("[name=comment]:focus")
    assert page.locator("input:checked").count() == 0
    assert page.get_by_role("switch").get_attribute("aria-checked") == "false"


def test_one_press_ends_a_stop_and_its_log(opened, site, machine):
    log = add_log(site, machine, comment="axe en defaut", status="open", down_from=ago(hours=2))
    page = opened(f"/ui/m/{machine['id']}", user=LEAD, **PHONE)
    # A lead may not change the log of an admin.
    author = f"{log['user']} or " if log["user"] else ""
    page.get_by_text(f"To end this stop, ask {author}a supervisor.").wait_for()
    page = opened(f"/ui/m/{machine['id']}", user=SUPERVISOR, **PHONE)
    page.get_by_role("button", name="Runs again and done").click()
    page.get_by_text("The machine runs again. Done.").wait_for()
    page.get_by_text("No stop reported").wait_for()
    done = site.call("GET", f"/logs/{log['uuid']}")
    assert done["status"] == "done"
    assert datetime.now(UTC) - datetime.fromisoformat(done["down_to"]) < timedelta(seconds=10)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone.").wait_for()
    page.get_by_role("button", name="Runs again and done").wait_for()
    undone = site.call("GET", f"/logs/{log['uuid']}")
    assert (undone["status"], undone["down_to"]) == ("open", None)


def test_each_ongoing_stop_has_its_button(opened, site, machine):
    for words in ("axe en defaut", "porte ouverte"):
        add_log(site, machine, comment=words, status="open", down_from=ago(hours=2))
    page = opened(f"/ui/m/{machine['id']}", user=ADMIN)
    buttons = page.get_by_role("button", name="Runs again and done")
    buttons.nth(1).wait_for()
    buttons.filter(has_text="porte ouverte").click()
    page.get_by_text("The machine runs again. Done.").wait_for()
    assert {log["comment"]: log["status"] for log in logs_of(site, machine)} == {
        "axe en defaut": "open",
        "porte ouverte": "done",
    }


def test_the_page_of_a_label_works_without_network(opened, site, machine):
    add_log(site, machine, comment="ancienne panne", cause="borne desserree")
    page = opened(f"/ui/m/{machine['id']}", user=OPERATOR, **PHONE)
    page.get_by_text("borne desserree").wait_for()
    page.get_by_role("link", name="Whole history").wait_for()
    go_offline(page)
    page.get_by_role("button", name="Breakdown").click()
    page.get_by_label("Description").fill("panne sans reseau")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Saved on this device. It will be sent").wait_for()
    # The page shows the stored copies and the unsent logs.
    page.get_by_text("Not sent yet").first.wait_for()
    page.get_by_text("borne desserree").wait_for()
    page.get_by_text("Stopped for 0 min").first.wait_for()
    page.get_by_role("button", name="Runs again and done").click()
    page.get_by_text("The machine runs again. Done. Saved on this device.").wait_for()
    page.get_by_text("No stop reported").wait_for()
    page.context.set_offline(False)
    page.locator(f"{BAR} a").wait_for(state="detached")
    newest, _ = logs_of(site, machine)
    assert (newest["comment"], newest["status"]) == ("panne sans reseau", "done")
    assert newest["down_from"] < newest["down_to"]


def test_an_earlier_log_that_looks_like_the_new_one_is_shown(opened, scanned):
    page = opened(f"/ui/new?machine={scanned['name']}", user=OPERATOR, **PHONE)
    switch = page.get_by_role("switch")
    before = switch.bounding_box()
    page.get_by_label("Description").fill("le palan est encore bloque")
    hint = page.get_by_role("link", name=re.compile("^Looks like .*: borne desserree dans l armoire$"))
    hint.wait_for()
    assert switch.bounding_box() == before
    hint.click()
    page.get_by_role("heading", name="Action").wait_for()
    page.go_back()
    page.get_by_label("Description").wait_for()
    assert page.get_by_label("Description").input_value() == "le palan est encore bloque"
    # Without network, the console searches its copies.
    hint.wait_for()
    go_offline(page)
    page.get_by_label("Description").fill("palan bloque tout en haut")
    hint.wait_for()
    page.get_by_label("Description").fill("peinture ecaillee")
    hint.wait_for(state="detached")


def test_the_camera_reads_a_label_in_the_form(opened, site, scanned):
    page = opened("/ui/new", user=OPERATOR, **PHONE, permissions=["camera"])
    page.get_by_role("button", name="Scan a label").click()
    page.get_by_role("button", name="Change").wait_for()
    page.get_by_text(scanned["name"]).first.wait_for()
    assert page.get_by_role("dialog").count() == 0
    page.get_by_role("radio", name="Info", exact=True).check()
    page.get_by_label("Description").fill("scanne par la camera")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Log sent.").wait_for()
    assert "scanne par la camera" in {log["comment"] for log in logs_of(site, scanned)}


DETECTOR = """window.tracks = [];
const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await getUserMedia(wanted);
  window.tracks.push(...stream.getTracks());
  return stream;
};
window.seen = %s;
window.BarcodeDetector = class {
  static getSupportedFormats() { return Promise.resolve(['qr_code']); }
  async detect() { return window.seen ? [{ rawValue: window.seen }] : []; }
};"""


CAMERA_STATES = "window.tracks.map((track) => track.readyState)"


def test_the_scanner_says_what_it_read_and_switches_the_camera_off(opened, site, axe):
    page = opened("/ui/", user=OPERATOR, **PHONE, permissions=["camera"])
    page.add_init_script(DETECTOR % json.dumps("https://example.org/m/1"))
    page.goto("/ui/new")
    page.get_by_role("button", name="Scan a label").click()
    page.get_by_text("This is not a label of this site: https://example.org/m/1").wait_for()
    take_picture(page, axe, "scan-foreign-phone")
    page.evaluate(f"window.seen = '{site.address}/ui/m/999999'")
    page.get_by_text("The machine of this label is no longer in the list.").wait_for()
    assert page.evaluate(CAMERA_STATES) == ["live"]
    page.get_by_role("button", name="Close").last.click()
    # The browser reports a closed dialog in a later task, which switches the camera off.
    wait_until(lambda: page.evaluate(CAMERA_STATES) == ["ended"])
    assert page.get_by_role("dialog").count() == 0


PLAIN_HTTP = """Object.defineProperty(window, 'isSecureContext', { value: false });
Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"""


@pytest.mark.parametrize(
    ("script", "text"),
    [("", "This browser does not allow the camera"), (PLAIN_HTTP, "The camera works here only over https.")],
    ids=["denied", "plain http"],
)
def test_the_scanner_says_why_there_is_no_camera(opened, script, text):
    page = opened("/ui/", user=OPERATOR, **PHONE)
    page.add_init_script(script)
    page.goto("/ui/new")
    page.get_by_role("button", name="Scan a label").click()
    page.get_by_role("dialog").get_by_text(text).wait_for()
    assert page.locator("video").is_hidden()


@pytest.mark.parametrize("language", [{}, FRENCH], ids=["en", "fr"])
@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_the_pages_are_accessible(opened, site, machine, axe, screen, language):
    add_log(
        site,
        machine,
        comment="le pont ne monte plus",
        cause="frein colle",
        action="frein nettoye",
        started_at=ago(days=9),
    )
    add_log(
        site, machine, comment="le pont grince", severity="major", status="open", down_from=ago(hours=2, minutes=10)
    )
    name = f"{'fr' if language else 'en'}-{'desk' if screen is DESK else 'phone'}"
    page = opened(f"/ui/m/{machine['id']}", user=ADMIN, **screen, **language)
    page.wait_for_selector("[data-uuid]")
    take_picture(page, axe, f"scanned-machine-{name}")
    page.locator("footer button").nth(1).click()
    page.locator("[name=comment]").fill("le pont monte lentement, frein chaud")
    page.wait_for_selector("[role=status] a")
    take_picture(page, axe, f"breakdown-{name}")
    page.goto("/ui/new")
    page.locator("[name=machine]").fill("Pont du nord")
    page.get_by_role("option").last.wait_for()
    take_picture(page, axe, f"unlisted-{name}")
    site.call("POST", "/logs", machine="Presse du fond", type="info", unlisted=True)
    page.goto("/ui/machines?state=unlisted")
    page.wait_for_selector("[data-machine]")
    take_picture(page, axe, f"unconfirmed-{name}")
