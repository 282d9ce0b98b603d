"""Lists keep their place, and show what was just written; the wall and the other pages notice a new build."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urljoin

import pytest

from api.access.site import PASSWORD
from console.conftest import DESK, OPERATOR, PHONE
from machine_monitor.api.serving import console

ROW = "[data-uuid]"
MACHINE = "[data-machine]"
NEWEST = "To the newest"
# Once a page has loaded everything, also what it needs without network.
READY = ".outbox [data-ready=true]"


def names(page):
    return page.eval_on_selector_all(MACHINE, "all => all.map(one => one.dataset.machine)")


def scroll_down(page, top):
    page.locator(".scroller").evaluate("(one, top) => one.scrollTo(0, top)", top)
    page.wait_for_timeout(300)


@pytest.fixture
def numbered(site):
    """Machines whose names differ in a number, the first of them with a serial number."""
    added = [f"Scie tour CN {number}" for number in (10, 2, 1)]
    for name in added:
        site.call("POST", "/machines", name=name, serial_number=f"SN-{name[-2:].strip()}77X")
    yield added
    for name in added:
        site.call("DELETE", f"/machines/{name}")


def test_the_list_of_logs_stands_where_it_was_after_back(opened):
    page = opened("/ui/logs")
    page.wait_for_selector(ROW)
    scroll_down(page, 2672)
    first = page.locator(ROW).nth(6).get_attribute("data-uuid")
    before = page.locator(f"[data-uuid='{first}']").bounding_box()["y"]
    page.get_by_role("link", name="Machines").click()
    page.wait_for_selector(MACHINE)
    page.go_back()
    page.locator(f"[data-uuid='{first}']").wait_for()
    page.wait_for_timeout(200)
    assert abs(page.locator(f"[data-uuid='{first}']").bounding_box()["y"] - before) < 2
    page.get_by_role("button", name=NEWEST).click()
    page.wait_for_function("() => document.querySelector('.scroller').scrollTop === 0")
    assert page.get_by_role("button", name=NEWEST).count() == 0


def test_the_list_of_machines_stands_where_it_was_after_back(opened):
    page = opened("/ui/machines", viewport={"width": 1440, "height": 400})
    page.wait_for_selector(MACHINE)
    row = page.locator(MACHINE).nth(8)
    row.scroll_into_view_if_needed()
    page.wait_for_timeout(100)
    before = page.locator(".body").evaluate("one => one.scrollTop")
    assert before > 0
    row.click()
    page.wait_for_selector("h1")
    page.go_back()
    page.wait_for_function("top => document.querySelector('.body')?.scrollTop === top", arg=before)


def test_a_log_that_was_just_written_is_some_minutes_old_at_once(opened, site):
    page = opened("/ui/logs")
    page.wait_for_selector("[title=Live]")
    uuid = site.call("POST", "/logs", machine="Tour CN 1", type="info", started_at=datetime.now(UTC).isoformat())[
        "uuid"
    ]
    page.get_by_role("button", name="1 new log").click()
    page.wait_for_selector(f"[data-uuid='{uuid}']")
    assert page.locator(f"[data-uuid='{uuid}'] time .short").text_content() == "0 min"


@pytest.mark.usefixtures("numbered")
def test_the_list_of_machines_is_sorted_by_its_heads(opened, axe):
    page = opened("/ui/machines?q=scie+tour")
    page.wait_for_selector(MACHINE)
    assert names(page) == ["Scie tour CN 1", "Scie tour CN 2", "Scie tour CN 10"]
    heads = page.get_by_role("group", name="Sort")
    heads.get_by_role("link", name="Machine").click()
    heads.get_by_role("link", name="Machine").click()
    page.wait_for_url("**/ui/machines?q=scie+tour&sort=-name")
    page.wait_for_function("() => document.querySelector('[data-machine]').dataset.machine.endsWith(' 10')")
    assert axe(page) == []
    page.goto("/ui/machines?sort=-last_log")
    page.wait_for_selector(MACHINE)
    times = page.eval_on_selector_all(f"{MACHINE} time", "all => all.map(one => one.dateTime)")
    assert times == sorted(times, reverse=True)
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    assert len(download.value.path().read_text().splitlines()) > 12


def test_a_machine_is_found_by_any_words_and_by_its_serial_number(opened, numbered):
    page = opened("/ui/new", user=OPERATOR)
    page.get_by_role("combobox", name="Machine").fill("cn scie")
    options = page.get_by_role("option")
    options.first.wait_for()
    listed = [text for text in options.all_text_contents() if "is not in the list" not in text]
    assert listed == sorted(numbered, key=lambda name: int(name.split()[-1]))
    page.get_by_role("combobox", name="Machine").fill("sn-277")
    page.wait_for_function("() => document.querySelector('[role=option]').textContent === 'Scie tour CN 2'")
    options.first.click()
    # No type is chosen yet: the machine is focused and read out.
    page.wait_for_function("() => document.activeElement.textContent.includes('Scie tour CN 2')")


def test_the_wall_has_a_way_out(opened):
    page = opened("/ui/wall", **PHONE)
    page.get_by_role("link", name="Leave the wall").tap()
    page.wait_for_selector(ROW)


@pytest.fixture
def newer_build():
    """Returns a function that publishes a newer service worker."""
    files = console.load()._files
    worker = files["sw.js"]

    def publish():
        content = worker.content.replace(b"const BUILD = '", b"const BUILD = 'newer-")
        files["sw.js"] = replace(worker, content=content, encoded={}, headers={**worker.headers, "ETag": 'W/"newer"'})

    yield publish
    files["sw.js"] = worker


# Chromium switches to a new worker when the old one has no work left, which can take minutes. This stands for that;
# the test of the update button waits for a real switch.
SWITCH_AT_ONCE = """() => { ServiceWorker.prototype.postMessage = (message) => {
    if (message === 'take over') navigator.serviceWorker.dispatchEvent(new Event('controllerchange')); }; }"""


def test_the_wall_loads_a_new_build_by_itself(opened, newer_build):
    page = opened("/ui/account", service_workers="allow", **DESK)
    page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    page.clock.install()
    page.goto("/ui/wall")
    page.wait_for_selector("#pareto")
    page.evaluate(SWITCH_AT_ONCE)
    newer_build()
    page.clock.fast_forward(31 * 60_000)
    page.get_by_role("button", name="New version").wait_for()
    with page.expect_event("load"):
        page.clock.fast_forward(62_000)
    page.wait_for_selector("#pareto")


def test_signing_out_and_in_again_breaks_no_policy(opened):
    page = opened("/ui/sign-in", user=None, service_workers="allow", **DESK)
    for _ in range(2):
        page.get_by_label("Trigram").fill(OPERATOR)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector(READY, state="attached")
        page.get_by_role("link", name=f"My account · {OPERATOR}").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Trigram").wait_for()


def test_no_alarm_covers_the_form_without_network(opened):
    page = opened("/ui/logs", user=OPERATOR, **PHONE)
    page.wait_for_selector(READY, state="attached")
    page.context.set_offline(True)
    page.get_by_role("link", name="New log").click()
    page.get_by_role("button", name="Send").wait_for()
    page.wait_for_timeout(300)
    assert page.locator(".line").text_content().strip() == ""
    box = page.get_by_role("button", name="Send").bounding_box()
    at = [box["x"] + box["width"] / 2, box["y"] + box["height"] - 2]
    assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('button')?.type", at) == "submit"


def test_the_icons_are_there_in_their_sizes(opened, site):
    page = opened("/ui/account")
    manifest = page.request.get(site.address + "/ui/console.webmanifest").json()
    # Relative, so that the console can be served below any path.
    assert manifest["start_url"] == "./"
    base = site.address + "/ui/"
    icons = {urljoin(base, icon["src"]): icon["sizes"] for icon in manifest["icons"] if icon["type"] == "image/png"}
    icons[page.locator("link[rel=apple-touch-icon]").evaluate("link => link.href")] = "180x180"
    assert {"192x192", "512x512", "180x180"} == set(icons.values())
    assert "maskable" in {icon.get("purpose") for icon in manifest["icons"]}
    for address, sizes in icons.items():
        content = page.request.get(address).body()
        # The width and the height of a PNG are at these positions.
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        assert f"{width}x{height}" == sizes


@pytest.mark.parametrize("path", ["/ui/machines", "/ui/wall"])
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_no_text_of_a_list_is_cut_below_its_line(opened, path, locale):
    page = opened(path, locale=locale, viewport={"width": 1440, "height": 900})
    page.wait_for_selector(f"{MACHINE}, #pareto")
    page.wait_for_timeout(200)
    cut = page.evaluate("""[...document.querySelectorAll('[data-machine] > *, .wall li > *')].filter((one) =>
        one.checkVisibility() && one.textContent.trim() && getComputedStyle(one).overflowY === 'hidden' &&
        one.scrollHeight > one.clientHeight).map((one) => one.outerHTML.slice(0, 160))""")
    assert cut == []
    plural = page.locator(f"{MACHINE} .open")
    for one in plural.all() if "machines" in path else []:
        assert one.evaluate("one => one.scrollWidth <= one.clientWidth")
    overlaps = page.evaluate("""[...document.querySelectorAll('.wide li')].filter((li) => {
        const [severity, age] = ['.severity', '.age'].map((one) => li.querySelector(one).getBoundingClientRect());
        return severity.right > age.left;
    }).length""")
    assert overlaps == 0
