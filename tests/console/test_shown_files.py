"""Photos and files as the console shows them: in the viewer, in lists, and without a network."""

import re
from collections import Counter
from urllib.parse import urlsplit

from api.access.site import PASSWORD
from console.conftest import ADMIN, OPERATOR, PHONE, SCREENSHOTS
from console.test_files import PHOTOS, SCREENS, SENT, attach, choose, name_of, photo, sent_digests, upload
from console.test_log_form import NEW, add_log
from console.test_offline import go_offline, wait_for_worker, wait_until


def wait_until_shown(picture):
    wait_until(lambda: picture.evaluate("one => one.naturalWidth") > 0)


def test_the_viewer_is_used_by_keys_swipes_and_double_taps(opened, site, axe):
    uuid = add_log(site, user=OPERATOR, comment="a regarder de pres")
    attach(site, f"/logs/{uuid}", PHOTOS)
    page = opened(f"/ui/logs/{uuid}", user=ADMIN, **PHONE)
    page.locator(SENT).first.click()
    viewer = page.get_by_role("dialog")
    viewer.get_by_text("1 of 3").wait_for()
    for key, place in [("ArrowLeft", 1), ("ArrowRight", 2), ("End", 3), ("ArrowRight", 3), ("Home", 1)]:
        page.keyboard.press(key)
        viewer.get_by_text(f"{place} of 3").wait_for()
    wait_until_shown(page.locator("dialog img"))
    page.screenshot(path=SCREENSHOTS / "viewer-phone-en-light.png")
    assert axe(page) == []
    stage = viewer.locator("[data-scale]")
    page.keyboard.press("+")
    wait_until(lambda: stage.get_attribute("data-scale") == "1.5")
    page.keyboard.press("0")
    swipe(page, stage, -200)
    viewer.get_by_text("2 of 3").wait_for()
    swipe(page, stage, 200)
    viewer.get_by_text("1 of 3").wait_for()
    page.touchscreen.tap(200, 400)
    page.touchscreen.tap(200, 400)
    wait_until(lambda: float(stage.get_attribute("data-scale")) > 1)
    # While it is zoomed, a finger moves the picture and turns no page.
    swipe(page, stage, -200)
    viewer.get_by_text("1 of 3").wait_for()
    with page.expect_download() as download:
        viewer.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "broche 1.jpg"
    assert download.value.path().read_bytes() == PHOTOS[0]["buffer"]
    page.keyboard.press("Escape")
    viewer.wait_for(state="detached")
    assert page.evaluate("document.activeElement.closest('[data-attachment]') !== null")


def swipe(page, stage, distance):
    """Move a finger sideways over the middle of the stage."""
    box = stage.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    points = [[{"x": x + distance * step / 4, "y": y}] for step in range(5)]
    for kind, touches in [("touchStart", points[0]), *(("touchMove", one) for one in points[1:]), ("touchEnd", [])]:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def test_the_viewer_goes_on_when_the_shown_photo_is_removed(opened, site):
    uuid = add_log(site, user=OPERATOR, comment="une photo de trop")
    attach(site, f"/logs/{uuid}", PHOTOS[:2])
    page = opened(f"/ui/logs/{uuid}", user=ADMIN)
    page.locator(SENT).nth(1).click()
    for left in ("1 of 1", None):
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        page.get_by_role("dialog", name="Remove").get_by_role("button", name="Remove").click()
        if left:
            page.get_by_text(left).wait_for()
    page.get_by_role("dialog").wait_for(state="detached")
    assert sent_digests(site, uuid) == []


@SCREENS
def test_a_list_shows_the_first_photo_and_the_count_with_no_request_but_previews(opened, site, screen):
    uuid = add_log(site, user=OPERATOR, comment=f"liste avec photos {len(screen)}")
    attach(site, f"/logs/{uuid}", PHOTOS)
    notes = add_log(site, user=OPERATOR, comment="liste avec notes")
    attach(site, f"/logs/{notes}", [upload("n.txt", b"loud", "text/plain")])
    page = opened("/healthz", user=OPERATOR, **screen)
    requests = []
    page.on("request", lambda request: requests.append(request.url) if "/attachments/" in request.url else None)
    page.goto("/ui/logs?q=liste")
    row = page.locator(f"[data-uuid='{uuid}']")
    row.get_by_text("3 files").wait_for()
    page.locator(f"[data-uuid='{notes}']").get_by_text("1 file", exact=True).wait_for()
    wait_until_shown(row.locator("img"))
    assert {re.sub(".*/attachments/[^/]+", "", url) for url in requests} == {"/preview?size=320"}
    page.screenshot(path=SCREENSHOTS / f"list-files-{name_of(screen)}-en-light.png")
    box = row.locator("img").bounding_box()
    assert (box["width"], box["height"]) == (40, 40)


def test_a_record_of_fifty_photos_opens_with_one_request_and_its_previews(opened, site):
    uuid = add_log(site, user=OPERATOR, comment="tout le tour de la machine")
    attach(site, f"/logs/{uuid}", [upload(f"{number}.jpg", photo(number)) for number in range(50)])
    page = opened("/healthz", user=OPERATOR, **PHONE)
    previews = [f"/attachments/{each['id']}/preview" for each in site.call("GET", f"/logs/{uuid}")["attachments"]]
    # The service makes the previews soon after the upload.
    for path in previews:
        assert page.request.get(f"{path}?size=320").ok
    requests = []
    page.on("request", lambda request: requests.append(request.url) if uuid in request.url else None)
    page.on("request", lambda request: requests.append(request.url) if "/attachments/" in request.url else None)
    # The list beside the record is empty: it would show photos of other records.
    page.goto(f"/ui/logs/{uuid}?q=none-of-them")
    page.locator(SENT).nth(49).wait_for()
    wait_until_shown(page.locator(f"{SENT} img").first)
    page.locator(SENT).nth(49).scroll_into_view_if_needed()
    wait_until_shown(page.locator(f"{SENT} img").nth(49))
    expected = [f"/ui/logs/{uuid}", f"/logs/{uuid}", f"/logs/{uuid}/history", *previews]
    assert Counter(urlsplit(url).path for url in requests) == Counter(expected)


@SCREENS
def test_files_in_french_and_dark(opened, site, screen, axe):
    uuid = add_log(site, user=OPERATOR, comment="Jeu de la broche, voir les photos")
    attach(site, f"/logs/{uuid}", [*PHOTOS, upload("mesures.csv", b"a;b\n1;2\n", "text/csv")])
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR, locale="fr-FR", color_scheme="dark", **screen)
    page.get_by_role("heading", name="Photos et fichiers").wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-attachment] img')].filter((one) => one.naturalWidth).length === 3"
    )
    page.get_by_text("ABE a ajouté le fichier mesures.csv").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.screenshot(path=SCREENSHOTS / f"record-files-{name_of(screen)}-fr-dark.png")
    assert axe(page) == []
    page.locator(SENT).nth(1).click()
    page.get_by_role("dialog").get_by_text("2 sur 3").wait_for()
    wait_until_shown(page.locator("dialog img"))
    page.screenshot(path=SCREENSHOTS / f"viewer-{name_of(screen)}-fr-dark.png")
    assert axe(page) == []
    page.goto("/ui/logs?q=voir")
    wait_until_shown(page.locator(f"[data-uuid='{uuid}'] img"))
    page.screenshot(path=SCREENSHOTS / f"list-files-{name_of(screen)}-fr-dark.png")
    assert axe(page) == []
    page.goto(NEW)
    choose(page, PHOTOS)
    wait_until_shown(page.locator("form img").first)
    page.screenshot(path=SCREENSHOTS / f"form-files-{name_of(screen)}-fr-dark.png")
    assert axe(page) == []


KEPT_PREVIEWS = "async () => (await (await caches.open('mm-previews')).keys()).length"


def test_the_small_pictures_that_were_shown_are_shown_without_network_until_the_user_signs_out(opened, site):
    uuid = add_log(site, user=OPERATOR, comment="photos gardees")
    attach(site, f"/logs/{uuid}", PHOTOS[:2])
    page = opened("/ui/sign-in?next=/ui/logs%3Fcomment__contains%3Dgardees", user=None, service_workers="allow")
    page.get_by_label("Trigram").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator(f"[data-uuid='{uuid}']").wait_for()
    wait_for_worker(page)
    page.reload()
    picture = page.locator(f"[data-uuid='{uuid}'] img")
    wait_until_shown(picture)
    wait_until(lambda: page.evaluate(KEPT_PREVIEWS) == 1)
    go_offline(page)
    page.reload()
    wait_until_shown(picture)
    page.context.set_offline(False)
    page.goto("/ui/account")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/sign-in*")
    wait_until(lambda: page.evaluate(KEPT_PREVIEWS) == 0)
