"""A label is an SVG picture with the name of a machine and a QR code that links to its page."""

from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from api.labels import dark_modules, modules_of

SVG = "{http://www.w3.org/2000/svg}"
NAMES = (
    *("Saw", "Fraiseuse <é> & co.", "x" * 120, "Centre d'usinage " * 7 + "1", "🛠" * 40),
    *("W" * 120, "🚜" * 120, "主" * 120, "W W W " * 19 + "W", "👩\U0001f3fd\u200d🔧" * 30, "กี่" * 40),
)


async def label_of(client, name, **machine):
    await client.put(f"/machines/{quote(name)}", json=machine)
    response = await client.get(f"/machines/{quote(name)}/label.svg")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/svg+xml")
    return ET.fromstring(response.text)  # noqa: S314 -- our own XML


def code_of(picture):
    """Return the path of the QR code."""
    return picture.find(f"{SVG}path").get("d")


async def test_the_qr_code_stays_valid_after_a_rename(client):
    before = dark_modules(code_of(await label_of(client, "Saw")))
    number = (await client.get("/machines/Saw")).json()["id"]
    assert before == modules_of(f"http://machine-monitor/ui/m/{number}")
    await client.patch("/machines/Saw", json={"name": "Band saw"})
    assert dark_modules(code_of(await label_of(client, "Band saw"))) == before


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_is_shown_completely_and_fits_the_label(client, name):
    picture = await label_of(client, name, sector="1A", serial_number="4711")
    assert picture.find(f"{SVG}title").text == name
    *lines, note = picture.findall(f"{SVG}text")
    assert "".join("".join(line.itertext()) for line in lines).replace(" ", "") == name.replace(" ", "")
    assert note.text == "1A · 4711"
    height = float(picture.get("viewBox").split()[3])
    assert all(float(line.get("y")) < float(note.get("y")) < height for line in lines)
    # The sizes of glyphs as common fonts draw them: `tests/console/test_print.py` measures them in Chromium.
    for line in lines:
        widths = {"W": 1.1, "主": 1, "🚜": 1.37, "🛠": 1.37}
        width = sum(widths.get(letter, 0) for letter in line.text)
        assert width * float(line.get("font-size")) <= 48, line.text


async def test_a_label_of_a_missing_machine_or_with_parameters_is_refused(client):
    assert (await client.get("/machines/none/label.svg")).status_code == 404
    assert (await client.get("/machines/none/label.svg?size=3")).json()["code"] == "unknown-parameter"
    assert (await client.get("/machines/a/label.png")).status_code == 404


@pytest.mark.parametrize(
    ("sector", "serial", "note"),
    [
        ("Additive lab", "16G-1021", "Additive… · 16G-1021"),
        ("Additive lab", "16G-2041-778-XYZ-00012345", "16G-2041-778-XYZ-00012345"),
        ("Additive manufacturing lab", None, "Additive manufactur…"),
    ],
)
async def test_a_long_sector_is_shortened_before_the_serial_number(client, sector, serial, note):
    picture = await label_of(client, "Saw", sector=sector, serial_number=serial)
    line = picture.findall(f"{SVG}text")[-1]
    assert line.text == note
    # A letter is at most 0.72 times as wide as the font is high; the label has 48 mm for them.
    assert len(note) * float(line.get("font-size")) * 0.72 <= 48.1
