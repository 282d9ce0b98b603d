"""The picture of a machine, its documents, and what shows them: the page, the list and the labels."""

import pytest

from console.conftest import ADMIN, LEAD, OPERATOR, SCREENSHOTS
from console.test_files import PHOTOS, PICKER, SCREENS, SENT, attach, name_of, upload
from console.test_offline import go_offline, wait_until, wait_until_sent

MANUAL = upload("Manuel CN 2.pdf", b"%PDF-1.7\n%%EOF\n", "application/pdf")


@pytest.fixture
def machine(site):
    """A machine of its own with two photos and a manual, removed at the end: pictures change the look of the lists."""
    name = "Fraiseuse photographiée"
    site.call("POST", "/machines", name=name, sector="Usinage", manufacturer="Deckel", model="FP4")
    attach(site, f"/machines/{name}", [*PHOTOS[1:], MANUAL])
    yield name
    site.call("DELETE", f"/machines/{name}")


@SCREENS
def test_the_page_of_a_machine_shows_its_picture_and_its_documents(opened, machine, screen, axe):
    page = opened(f"/ui/machines/{machine}", user=OPERATOR, **screen)
    page.get_by_role("button", name=f"Photo of {machine}").wait_for()
    page.wait_for_function("() => document.querySelectorAll('[data-attachment]').length === 3")
    page.wait_for_function("() => [...document.querySelectorAll('img')].every((one) => one.naturalWidth > 0)")
    page.screenshot(path=SCREENSHOTS / f"machine-files-{name_of(screen)}-en-light.png")
    assert axe(page) == []
    assert page.locator(PICKER).count() == 0
    with page.expect_download() as download:
        page.get_by_role("link", name="Manuel CN 2.pdf").click()
    assert download.value.path().read_bytes() == MANUAL["buffer"]
    page.get_by_role("button", name=f"Photo of {machine}").click()
    page.get_by_role("dialog").get_by_text("1 of 2").wait_for()


def test_a_lead_adds_a_photo_offline_and_renames_the_machine_before_it_is_sent(opened, site, machine):
    # The page may ask for the former name once more before it learns the new one.
    page = opened(f"/ui/machines/{machine}", user=ADMIN, refusals=(404,))
    page.locator(SENT).nth(2).wait_for()
    go_offline(page)
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Fraiseuse renommée")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.locator(PICKER).set_input_files(PHOTOS[:1])
    page.locator("[data-waiting-file]").wait_for()
    page.context.set_offline(False)
    wait_until_sent(page)
    assert site.call("GET", "/machines/Fraiseuse renommée")["attachment_count"] == 4
    site.call("PATCH", "/machines/Fraiseuse renommée", name=machine)


@SCREENS
@pytest.mark.usefixtures("machine")
def test_the_list_of_machines_shows_the_picture(opened, machine, screen):
    page = opened("/ui/machines?sort=-name", user=LEAD, **screen)
    row = page.locator(f"[data-machine='{machine}']")
    row.scroll_into_view_if_needed()
    wait_until(lambda: row.locator("img").evaluate("one => one.naturalWidth") > 0)
    page.screenshot(path=SCREENSHOTS / f"machines-files-{name_of(screen)}-en-light.png")


def test_labels_print_the_picture_on_request(opened, machine):
    page = opened(f"/ui/labels?name={machine}&name=Tour CN 1", user=LEAD)
    sheet = page.get_by_role("list", name="Labels to print")
    sheet.locator("img").nth(1).wait_for()
    assert sheet.locator("img").count() == 2
    page.get_by_role("checkbox", name="photo beside the label").check()
    sheet.get_by_role("img", name=f"Photo of {machine}").wait_for()
    assert sheet.locator("img").count() == 3
    assert "pictures=true" in page.url
    wait_until(lambda: sheet.get_by_role("img", name=f"Photo of {machine}").evaluate("one => one.naturalWidth") > 0)
    page.screenshot(path=SCREENSHOTS / "labels-pictures-desk-en-light.png")
    page.emulate_media(media="print")
    label, picture = (sheet.locator("img").nth(index).bounding_box() for index in (0, 1))
    assert round(label["width"] / picture["width"], 1) == round(90 / 38, 1)
    assert label["height"] == pytest.approx(picture["height"], abs=1)
