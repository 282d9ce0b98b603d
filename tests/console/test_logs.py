"""The list of logs and the page of a log in a browser."""

import re

from console.conftest import ADMIN, OPERATOR, PHONE, SUPERVISOR

ROW = "[data-uuid]"
RECORD = "section[aria-label=Log]"


def add_log(site, **values):
    return site.call("POST", "/logs", **{"machine": "Tour CN 1", "type": "info", **values})["uuid"]


def query(page):
    return page.url.partition("?")[2]


def test_the_list_shows_the_newest_first_and_loads_more_while_scrolling(opened, site):
    page = opened("/ui/")
    page.wait_for_selector(ROW)
    # Other tests add logs, so ask for the current total.
    total = site.call("GET", "/logs?limit=1&count=exact")["total"]
    assert page.get_by_text(f"{total:,} logs").is_visible()
    times = page.eval_on_selector_all(f"{ROW} time", "all => all.map(one => one.dateTime)")
    assert times == sorted(times, reverse=True)
    first = page.locator(ROW).first.get_attribute("data-uuid")
    page.mouse.move(700, 500)
    for _ in range(60):
        page.mouse.wheel(0, 3000)
        if page.get_by_text("End of the list.").is_visible():
            break
        page.wait_for_timeout(30)
    assert page.get_by_text("End of the list.").is_visible()
    # Only rows near the visible ones are in the document, and scrolling back reaches the first row.
    assert page.locator(ROW).count() < 60
    for _ in range(60):
        page.mouse.wheel(0, -3000)
        page.wait_for_timeout(30)
        if page.locator(f"[data-uuid='{first}']").is_visible():
            break
    assert page.locator(ROW).first.get_attribute("data-uuid") == first


def test_a_search_highlights_matches_and_is_in_the_address(opened):
    page = opened("/ui/")
    page.wait_for_selector(ROW)
    page.keyboard.press("/")
    page.keyboard.type("NETTOYAGE pla")
    page.wait_for_selector("[data-shown-search='NETTOYAGE pla*'] mark")
    marked = set(page.eval_on_selector_all("mark", "all => all.map(one => one.textContent.toLowerCase())"))
    assert "nettoyage" in marked
    assert all(word.startswith(("nettoyage", "pla")) for word in marked)
    assert query(page) == "q=NETTOYAGE+pla"
    page.keyboard.press("Escape")
    assert page.get_by_label("Search").input_value() == "NETTOYAGE pla"
    page.go_back()
    page.wait_for_selector("[data-shown-search='']")
    assert page.get_by_label("Search").input_value() == ""


def test_filters_are_written_to_and_read_from_the_address(opened):
    page = opened("/ui/logs?machine.sector=Usinage&started_at__gte=-1y")
    page.wait_for_selector(ROW)
    page.get_by_role("button", name="Type").click()
    page.get_by_role("checkbox", name=re.compile("^Breakdown")).check()
    page.get_by_role("checkbox", name=re.compile("^Reload")).check()
    page.keyboard.press("Escape")
    assert query(page) == "machine.sector=Usinage&started_at__gte=-1y&type=error&type=reload"
    page.reload()
    page.get_by_role("button", name="Remove filter Type: Breakdown, Reload").click()
    assert query(page) == "machine.sector=Usinage&started_at__gte=-1y"
    page.get_by_role("button", name="Remove filter Last 12 months").click()
    page.go_back()
    assert page.get_by_text("Last 12 months").is_visible()


def test_the_chip_of_open_stops_also_shows_their_latest_start(opened):
    page = opened("/ui/logs?down_from__lte=2020-06-30&down_from__isnull=false&down_to__isnull=true")
    page.get_by_role("button", name="Remove filter Stopped now · Machine stopped ≤ 30 Jun 2020").click()
    page.wait_for_url("**/ui/logs")


def test_facet_counts_match_the_list(opened):
    page = opened("/ui/logs?type=error")
    page.wait_for_selector(ROW)
    page.get_by_role("button", name="Severity").click()
    row = page.locator(".panel label", has_text="Major")
    count = row.locator(".count").text_content()
    row.locator("input").check()
    page.get_by_text(re.compile(rf"^{count} logs?$")).wait_for()


def test_an_export_contains_the_listed_logs(opened):
    page = opened("/ui/logs?type=error&q=alarme&sort=machine,-started_at&columns=type")
    page.wait_for_selector(ROW)
    total = int(page.locator(".count").first.text_content().split()[0])
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON Lines").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == total
    assert "columns" not in download.value.url
    assert [key in lines[0] for key in ('"machine"', '"cause"')] == [True, True]


def test_a_saved_view_is_stored_in_the_browser(opened):
    page = opened("/ui/logs?type=error")
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Name").fill("Faults")
    page.keyboard.press("Enter")
    page.goto("/ui/logs")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Faults", exact=True).click()
    page.wait_for_url("**/ui/logs?type=error")


def test_the_list_is_navigated_by_keyboard(opened):
    page = opened("/ui/")
    page.wait_for_selector(ROW)
    uuids = page.eval_on_selector_all(ROW, "all => all.slice(0, 3).map(one => one.dataset.uuid)")
    for key in ("j", "j", "k", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(RECORD)
    assert page.url.endswith(uuids[0])
    page.keyboard.press("j")
    page.wait_for_url(f"**/{uuids[1]}")
    page.keyboard.press("Escape")
    page.wait_for_selector(RECORD, state="detached")
    assert page.evaluate("document.activeElement.dataset.uuid") == uuids[1]
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_escape_goes_back_and_adds_no_history_entry(opened):
    page = opened("/ui/logs?type=error")
    page.locator(ROW).first.click()
    page.wait_for_selector(RECORD)
    page.keyboard.press("Escape")
    page.wait_for_url("**/ui/logs?type=error")
    assert page.evaluate("history.length") == 3


def test_new_logs_are_announced_and_shown_on_request(opened, site):
    page = opened("/ui/logs?type=info")
    page.wait_for_selector("[title=Live]")
    before = page.locator(ROW).first.get_attribute("data-uuid")
    added = add_log(site, comment="Fresh from the press")
    page.get_by_role("button", name="1 new log").wait_for()
    assert page.locator(ROW).first.get_attribute("data-uuid") == before
    page.get_by_role("button", name="1 new log").click()
    page.wait_for_selector(f"[data-uuid='{added}']")
    assert page.locator(ROW).first.get_attribute("data-uuid") == added


def test_history_is_shown_as_sentences_and_can_be_undone(opened, site):
    uuid = add_log(site, comment="Spindle is noisy", severity="minor")
    site.call("PATCH", f"/logs/{uuid}", severity="major", comment="Spindle is very noisy")
    page = opened(f"/ui/logs/{uuid}")
    page.get_by_text("ABE raised the severity from minor to major").wait_for()
    assert page.locator("ins").text_content() == "very "
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("ABE lowered the severity from major to minor").wait_for()
    assert page.locator(RECORD).get_by_text("Spindle is noisy", exact=True).is_visible()


def test_undo_is_offered_only_to_users_who_may_edit(opened, site):
    uuid = add_log(site, user=ADMIN)
    site.call("PATCH", f"/logs/{uuid}", comment="x")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    page.get_by_text("ABE set the description").wait_for()
    assert page.get_by_role("button", name="Undo").count() == 0


def test_a_supervisor_can_restore_a_deleted_log(opened, site):
    uuid = add_log(site, comment="Deleted by mistake")
    site.call("DELETE", f"/logs/{uuid}")
    page = opened(f"/ui/logs/{uuid}", user=OPERATOR)
    page.get_by_text("This log was deleted.").wait_for()
    assert page.get_by_role("button", name="Restore").count() == 0
    page = opened(f"/ui/logs/{uuid}", user=SUPERVISOR)
    page.get_by_role("button", name="Restore").click()
    page.locator(RECORD).get_by_text("Deleted by mistake").wait_for()


def test_on_a_phone_a_log_covers_the_list_which_keeps_its_scroll_position(opened):
    page = opened("/ui/", **PHONE)
    page.wait_for_selector(ROW)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator(".scroller").evaluate("one => one.scrollTo(0, 2000)")
    page.wait_for_timeout(200)
    uuid = page.locator(ROW).nth(8).get_attribute("data-uuid")
    # Locate the row by its UUID: after scrolling, another row is the eighth.
    row = page.locator(f"[data-uuid='{uuid}']")
    row.scroll_into_view_if_needed()
    # The virtual list measures rows after drawing them, which moves the list a little.
    page.wait_for_timeout(200)
    before = page.locator(".scroller").evaluate("one => one.scrollTop")
    row.tap()
    page.wait_for_url(f"**/{uuid}")
    assert not page.get_by_label("Search").is_visible()
    page.go_back()
    assert page.locator(f"[data-uuid='{uuid}']").is_visible()
    assert page.locator(".scroller").evaluate("one => one.scrollTop") == before > 0


def test_a_part_number_narrows_as_it_is_typed_and_its_middle_is_found_inside_words(opened, site):
    machine = site.call("GET", "/machines?limit=1")["items"][0]["name"]
    parts = ["QN-0042-AB", "QN-0047", "QN-0110", "QM-0042"]
    uuids = {
        part: site.call("POST", "/logs", machine=machine, type="info", comment=f"Joint {part}")["uuid"]
        for part in parts
    }
    page = opened("/ui/logs")
    page.get_by_label("Search").press_sequentially("QN")
    for typed, sent, count in [("-", "QN-", 3), ("00", "QN-00*", 2), ("42", "QN-0042*", 1)]:
        page.keyboard.type(typed)
        page.wait_for_selector(f"[data-shown-search='{sent}']")
        assert page.locator(ROW).count() == count
    page.get_by_label("Search").fill("N-004")
    page.get_by_role("button", name="Search inside words").click()
    page.wait_for_selector(f"[data-uuid='{uuids['QN-0047']}']")
    assert page.locator(ROW).count() == 2
    assert query(page) == "q=N-004&inside=true"
    page.get_by_role("button", name="Remove filter Inside words").click()
    page.wait_for_selector("text=No logs found.")
