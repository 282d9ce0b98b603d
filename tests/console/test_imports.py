"""Importing a table by the four steps: upload, reading, columns, preview; then the report, and undo."""

import json

import pytest

from console.conftest import ADMIN, DESK, OPERATOR, PHONE, SCREENSHOTS, SUPERVISOR
from services.legacy.uploaded_files import UUID, as_zip, files

SCREENS = {"desk": DESK, "phone": PHONE}
TABLE = """Interventions 2025;;;;;
Numéro;Date;Machine;Panne;Durée;Coût
{0}1;03/09/2025 08:00;Scie {0}-3;Lame usée;1h30;1120,50
{0}2;14/09/2025;Scie {0}-3;Ne tourne pas;;
{0}3;15/09/2025;Scie {0}-4;Fuite;2h15;80,00
{0}4;16/09/2025;Scie {0}-4;Courroie;0h30;45,90
{0}5;17/09/2025;Scie {0}-5;Capteur;1h00;18,00
{0}6;31/09/2025;Scie {0}-3;Bruit;0h45;12,00
"""
# Five logs and three machines.
IMPORT = "Import 8 records"
APPLIED = "[data-outcome='logs.created']"


EXCAVATORS = {
    "name": "excavators",
    "zone": "Australia/Perth",
    "key": ["id"],
    "fields": {
        "machine": {"template": "Excavator {Asset}"},
        "started_at": "BscStartDate",
        "type": "PMType",
        "comment": "OriginalShorttext",
        "attributes.cost": {"column": "Cost", "as": "number"},
    },
}


def choose(page, content, name="orders.csv"):
    """Choose a file in the first step, and wait for the second."""
    table = content if isinstance(content, bytes) else content.encode()
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": table})
    page.wait_for_url("**/imports/*?step=table")
    page.get_by_role("heading", name="Is the table read correctly?").wait_for()


def outcome(page, name):
    return page.locator(f"[data-outcome='logs.{name}']").inner_text().lstrip("▲ ")


def shoot(page, name):
    page.evaluate("document.fonts.ready")
    page.screenshot(path=SCREENSHOTS / f"import-{name}.png", full_page=True)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("screen", SCREENS)
def test_a_table_is_imported_by_four_steps_again_unchanged_and_undone(opened, axe, site, screen):
    number = {"desk": "1", "phone": "2"}[screen]

    def looks_right(step):
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            shoot(page, f"{step}-{screen}-{theme}")
        page.emulate_media(color_scheme="light")
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page = opened("/ui/imports", user=SUPERVISOR, **SCREENS[screen])
    page.get_by_role("heading", name="New import").wait_for()
    looks_right("list")
    choose(page, TABLE.format(number), f"orders-{screen}.csv")
    assert page.get_by_label("Line of the header").input_value() == "2"
    page.get_by_role("cell", name="Lame usée").wait_for()
    looks_right("table")
    page.get_by_role("button", name="Next: columns").click()
    page.get_by_text("5 of 6 columns are imported.").wait_for()
    assert page.get_by_label("Machine becomes").input_value() == "fields.machine"
    looks_right("columns")
    page.get_by_role("button", name="Next: preview").click()
    page.wait_for_selector(APPLIED)
    assert (outcome(page, "created"), outcome(page, "rejected")) == ("5", "1")
    page.get_by_text("31/09/2025").first.wait_for()
    looks_right("preview")
    page.get_by_role("button", name=IMPORT).click()
    page.get_by_role("heading", name="Report").wait_for()
    assert (outcome(page, "created"), outcome(page, "rejected")) == ("5", "1")
    looks_right("report")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the refused row").click()
    assert "31/09/2025" in download.value.path().read_text(encoding="utf-8")
    address = page.url
    # The same file again changes nothing.
    page.goto("/ui/imports")
    choose(page, TABLE.format(number), f"orders-{screen}.csv")
    page.get_by_role("link", name="Preview").click()
    page.wait_for_selector(APPLIED)
    assert (outcome(page, "created"), outcome(page, "unchanged")) == ("0", "5")
    assert page.get_by_text("Nothing to import").is_visible()
    # Undo.
    page.goto(address)
    page.get_by_role("button", name="Undo this import").click()
    page.get_by_role("dialog").get_by_role("button", name="Undo this import").click()
    page.get_by_role("heading", name="This import was undone").wait_for()
    assert "5 deleted" in page.locator("main [role=status]").inner_text()
    looks_right("undone")
    assert site.call("GET", f"/logs?machine=Scie%20{number}-3")["items"] == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_excavators_are_imported_and_again_unchanged(opened, site, shared):
    """5,485 real orders of excavators: the whole table, and none of its rows twice."""
    page = opened("/ui/imports", user=SUPERVISOR)
    page.set_default_timeout(60_000)

    def preview():
        choose(page, (shared / "data/excavators/excavators.csv").read_bytes(), "excavators.csv")
        page.get_by_role("button", name="Next: columns").click()
        page.get_by_text("The mapping as JSON").click()
        page.get_by_label("Mapping", exact=True).fill(json.dumps(EXCAVATORS))
        page.get_by_role("button", name="Use this JSON").click()
        page.get_by_role("button", name="Next: preview").click()
        page.wait_for_selector(APPLIED)
        return [outcome(page, name) for name in ("created", "unchanged", "rejected")]

    assert preview() == ["5,485", "0", "0"]
    shoot(page, "excavators-preview-desk-light")
    page.get_by_role("button", name="Import 5,49").click()
    page.get_by_role("heading", name="Report").wait_for()
    shoot(page, "excavators-report-desk-light")
    page.get_by_role("listitem").filter(has_text="Excavator D").get_by_text("This machine is new.").wait_for()
    assert site.call("GET", "/logs?machine__startswith=Excavator%20&limit=1&count=exact")["total"] == 5485
    address = page.url
    page.goto("/ui/imports")
    page.get_by_role("link", name="excavators.csv").get_by_text("5,485 new").wait_for()
    assert preview() == ["0", "5,485", "0"]
    # Other tests find the plant as it was.
    page.goto(address)
    page.get_by_role("button", name="Undo this import").click()
    page.get_by_role("dialog").get_by_role("button", name="Undo this import").click()
    page.get_by_role("heading", name="This import was undone").wait_for()
    assert "5,485 deleted" in page.locator("main [role=status]").inner_text()


def test_a_fault_of_the_mapping_shows_at_its_row(opened):
    page = opened("/ui/imports", user=SUPERVISOR)
    choose(page, TABLE.format("3"), "faulty.csv")
    page.get_by_role("button", name="Next: columns").click()
    page.get_by_text("The mapping as JSON").click()
    editor = page.get_by_label("Mapping", exact=True)
    mapping = json.loads(editor.input_value())
    mapping["fields"]["started_at"]["dates"] = ["dym"]
    editor.fill(json.dumps(mapping))
    page.get_by_role("button", name="Use this JSON").click()
    page.get_by_role("button", name="Next: preview").click()
    row = page.get_by_role("group", name="Date", exact=True)
    row.get_by_text("'dym' is no format").wait_for()
    assert row.get_by_label("Date becomes").get_attribute("aria-invalid") == "true"
    # A needed field without a column is named.
    page.get_by_label("Machine becomes").select_option("")
    page.get_by_text("Still needed: Machine.").wait_for()
    page.get_by_text("4 of 6 columns are imported.").wait_for()


def test_a_mapping_is_saved_by_name_and_used_again(opened, site):
    page = opened("/ui/imports", user=SUPERVISOR)
    choose(page, TABLE.format("4"), "saved.csv")
    page.get_by_role("button", name="Next: columns").click()
    page.get_by_label("Name of the mapping").fill("orders of Lyon")
    page.get_by_label("Panne becomes").select_option("fields.cause")
    page.get_by_role("button", name="Save this mapping").click()
    page.get_by_text("The mapping orders of Lyon is saved.").wait_for()
    assert site.call("GET", "/mappings/orders%20of%20Lyon")["fields"]["cause"] == "Panne"
    page.goto("/ui/imports")
    choose(page, TABLE.format("5"), "saved-again.csv")
    page.get_by_role("button", name="Next: columns").click()
    page.get_by_label("Use a saved mapping").select_option("orders of Lyon")
    page.get_by_text("The columns are now those").wait_for()
    assert page.get_by_label("Panne becomes").input_value() == "fields.cause"


def test_the_keyboard_is_enough(opened):
    page = opened("/ui/imports", user=SUPERVISOR)
    choose(page, TABLE.format("6"), "keyboard.csv")
    assert page.evaluate("document.activeElement.textContent") == "Is the table read correctly?"

    def tab_to(name):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == name:
                return
        raise AssertionError(name)

    tab_to("Next: columns")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What do the columns become?").wait_for()
    tab_to("Next: preview")
    page.keyboard.press("Enter")
    page.wait_for_selector(APPLIED)
    tab_to(IMPORT)


def test_a_refused_file_says_why(opened):
    page = opened("/ui/imports", user=SUPERVISOR, refusals=(413,))
    page.locator("input[type=file]").set_input_files({"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
    page.get_by_role("alert").get_by_text("empty.csv").wait_for()
    page.route(
        "**/imports", lambda route: route.fulfill(status=413, body="") if route.request.method == "POST" else None
    )
    page.locator("input[type=file]").set_input_files({"name": "big.csv", "mimeType": "text/csv", "buffer": b"a"})
    page.get_by_role("alert").get_by_text("at most 300 MB").wait_for()


@pytest.mark.timeout(180)
def shoot_everywhere(page, axe, name):
    """Look at an open page on each screen and in each theme."""
    for screen, options in SCREENS.items():
        page.set_viewport_size(options["viewport"])
        for theme in ("dark", "light"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(50)
            assert axe(page) == []
            assert page.evaluate("document.querySelector('table').getBoundingClientRect().right <= innerWidth")
            shoot(page, f"{name}-{screen}-{theme}")
    page.set_viewport_size(DESK["viewport"])


def test_the_folder_of_the_legacy_tool_is_imported_as_a_zip_without_columns(opened, axe, site):
    page = opened("/ui/imports", user=ADMIN)
    page.get_by_text("the folder of the former tool").wait_for()
    content = as_zip(files(), "old data/")
    chooser = page.locator("input[type=file]")
    assert {".zip", ".db"} <= set(chooser.get_attribute("accept").split(","))
    chooser.set_input_files({"name": "old.zip", "mimeType": "application/zip", "buffer": content})
    page.wait_for_url("**/imports/*?step=preview")
    page.get_by_text("There are no columns to choose").wait_for()
    steps = page.get_by_role("navigation", name="Steps of the import").get_by_role("link")
    assert [text.lstrip("12\n") for text in steps.all_inner_texts()] == ["File", "Preview"]
    assert (outcome(page, "created"), outcome(page, "rejected")) == ("4", "1")
    page.get_by_text(f"logs/{UUID.format(99)}.json").wait_for()
    page.get_by_text("There is no file for the machine 'Press'").wait_for()
    assert page.get_by_role("button", name="Back to the columns").count() == 0
    shoot_everywhere(page, axe, "legacy-preview")
    page.get_by_role("button", name="Import 7 records").click()
    page.get_by_role("heading", name="Report").wait_for()
    assert (outcome(page, "created"), outcome(page, "rejected")) == ("4", "1")
    assert page.get_by_role("link", name="Download").count() == 0
    shoot_everywhere(page, axe, "legacy-report")
    assert site.call("GET", f"/logs/{UUID.format(1)}")["machine"] == "Tour é"
    page.get_by_role("button", name="Undo this import").click()
    page.get_by_role("dialog").get_by_role("button", name="Undo this import").click()
    page.get_by_role("heading", name="This import was undone").wait_for()
    assert "4 deleted" in page.locator("main [role=status]").inner_text()
    # A supervisor sees why it takes an admin, in French as well.
    page = opened("/ui/imports", user=SUPERVISOR, locale="fr-FR", refusals=(403,))
    page.get_by_text("ancien outil (machines, logs, employs) en .zip").wait_for()
    newcomer = files(**{"employs/new.json": {"trigram": "nwc", "authorisation": "user"}})
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "old.zip", "mimeType": "application/zip", "buffer": as_zip(newcomer)})
    page.get_by_role("alert").get_by_text("Seul un administrateur").wait_for()
    shoot(page, "legacy-refused-desk-fr")


@pytest.mark.parametrize("screen", SCREENS)
def test_the_menu_leads_to_imports(opened, screen):
    page = opened("/ui/", user=SUPERVISOR, **SCREENS[screen])
    if screen == "phone":
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Admin").click()
        page.wait_for_url("**/ui/admin")
    page.get_by_role("link", name="Imports").click()
    page.get_by_role("heading", name="New import").wait_for()
    if screen == "desk":
        assert page.get_by_role("link", name="Imports").get_attribute("aria-current") == "page"


def test_only_supervisors_import(opened):
    page = opened("/ui/imports", user=OPERATOR)
    page.wait_for_selector("main h1")
    assert page.get_by_role("link", name="Imports").count() == 0
    assert page.locator("input[type=file]").count() == 0
