"""Filters on attributes: comparisons of values, valid keys, and errors."""

import csv
import io
import math

import pytest
import pytest_asyncio
from hypothesis import assume, example, given
from hypothesis import strategies as st

from conftest import serving
from machine_monitor.config import Settings
from query import oracle

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPERATORS = ("", "ne", "lt", "lte", "gt", "gte", "in", "nin", "contains", "startswith", "endswith")
# Texts that look like numbers but are not, and unusual numbers.
TRICKY = (
    *("80", "8e1", "80.0", "8E+1", "800e-1", "80.00000000000001", "79.99999999999999", "-80", "1e3", "1000", "-0", "0"),
    *("0.0", "-0.0", "0e99999", "1e-999", "1e999", "-1e999", "1e9999999", "9" * 400, f"1{'0' * 400}e-400"),
    *("5e-324", "2.5e-324", "1e308", "1.7976931348623157e308", "1.7976931348623159e308", "2.2250738585072014e-308"),
    *("9007199254740993", "0.1", "0.1000000000000000055511151231257827", "1.2345678901234567e-300", f"0.{'3' * 900}"),
    *("01", " 1", "1 ", "1\n", "+1", "1.", ".5", "-", "--1", "0x10", "1e", "1e+", "1_000", "1,5", "٣", "\uff11", "NaN"),
    *("Infinity", "-Infinity", "inf", "null", "true", "false", "True", "", '"', '""', '"80"', '""80""', '"true"'),
    *("É", "e\u0301", "straße", "STRASSE", "🛠", "\uffff", "%", "_", "\\", "a_b", "a%b", "'", "é\nÉ", "[1]", '{"t":1}'),
)
TEXTS = st.one_of(
    st.sampled_from(TRICKY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.floats().map(repr),
)
VALUES = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(1 - 2**53, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e308, 5e-324, -5e-324, 0.0, -0.0, 80, 80.0, 80.00000000000001, 1.2345678901234567e-300]),
)
KEYS = (
    *("temp", "temp ", " temp", " ", "Temp", "té", "te\u0301", "🛠", "\uffff", "٣", "0", "-1", "1", "#", "[0]", "[#-1]"),
    *("$", "$[0]", "*", "'", "''", '"', '""', '"temp"', "a'b", 'a"b', "\\", "\\\\", "\\u0041", '\\"', "a\nb", "\t"),
    *("\x01", "\x7f", "%", "%s", "%%", "%(x)s", "_", "_a", "a_", "?", ":key", "{}", "<key>", "->", "->>", ";--", "/"),
    *(
        "n",
        "t",
        "key",
        "value",
        "null",
        "true",
        "attributes",
        "machine",
        "ne",
        "x" * 64,
        "é" * 64,
        "&",
        "=",
        "+",
        "a b",
    ),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant(seeded_url):
    """A client of an API with two machines, one with an attribute for each key, and a log of each machine."""
    async with serving(Settings(database_url=seeded_url)) as client:
        for number, name in enumerate(("all", "none")):
            values = {"attributes": {key: f"value {key}" for key in KEYS[:64]} if number == 0 else {}}
            assert (await client.post("/machines", json={"name": name, **values})).status_code == 201
            log = {"uuid": f"{number:08}-0000-4000-8000-000000000000", "machine": name, "type": "info"}
            assert (await client.post("/logs", json=log)).status_code == 201
        more = {"attributes": {key: f"value {key}" for key in KEYS[64:]}}
        assert (await client.post("/machines", json={"name": "more", **more})).status_code == 201
        yield client


def variations(value) -> st.SearchStrategy[str]:
    """Generate spellings of a value and of neighbouring values."""
    if isinstance(value, bool):
        return st.sampled_from(["true", "false", '"true"', "1"])
    if isinstance(value, str):
        return st.sampled_from([value, f'"{value}"', value.upper(), value[:3], value[3:]])
    near = [value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf), float(value), -value]
    return st.sampled_from([*map(str, near), f"{value:.17g}", f"{value:.30e}", f'"{value}"', f"{value:.3g}"])


def spell(operator: str, texts: list[str]) -> list[str]:
    if operator not in ("in", "nin"):
        return texts
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow(texts)
    return [line.getvalue()]


@example("80", "", ["80", '"80"', "true"])
@example("1e999", "gt", ["1e308"])
@example(80, "nin", ["1", "true", '"80"'])
@example(80.00000000000001, "gt", ["80"])
@given(VALUES, st.sampled_from(OPERATORS), st.data())
async def test_any_value_compares_as_the_oracle_says(plant, stored, operator, operands):
    if not isinstance(operands, list):
        several = 4 if operator in ("", "in", "nin") else 1
        choice = TEXTS | variations(stored)
        operands = operands.draw(st.lists(choice, min_size=1, max_size=several), label="operands")
    assume(all("\0" not in text for text in operands))
    url = "/logs/00000001-0000-4000-8000-000000000000"
    # Write with a merge patch, so that PATCH also sees old and new values of different types.
    assert (await plant.patch(url, json={"attributes": {"x": stored}})).status_code == 200
    name = f"attributes.x__{operator}" if operator else "attributes.x"
    query = [(name, text) for text in spell(operator, operands)]
    response = await plant.get("/logs", params=[*query, ("machine", "none"), ("limit", "2")])
    if not all(oracle.is_accepted(operator, text) for text in operands):
        assert (response.status_code, response.json()["errors"][0]["parameter"]) == (422, name)
        return
    assert response.status_code == 200, response.text
    listed = [item["attributes"]["x"] for item in response.json()["items"]]
    assert listed == ([stored] if oracle.attribute_holds(stored, operator, operands) else [])


@pytest.mark.parametrize("key", KEYS)
async def test_any_attribute_key_can_be_filtered(plant, key):
    owner = "all" if key in KEYS[:64] else "more"

    async def names(**filters):
        parameters = {f"attributes.{key}{operator}": text for operator, text in filters.items()}
        response = await plant.get("/machines", params={"fields": "name", **parameters})
        assert response.status_code == 200, response.text
        return {item["name"] for item in response.json()["items"]}

    others = {"all", "more", "none"} - {owner}
    assert await names(**{"": f"value {key}"}) == {owner}
    assert await names(__contains=f"value {key}".upper(), __isnull="false") == {owner}
    assert await names(__isnull="true") == others
    assert await names(__ne=f"value {key}") == others
    logs = await plant.get("/logs", params={f"machine.attributes.{key}__startswith": "VALUE", "fields": "machine"})
    assert logs.json()["items"] == ([{"machine": "all"}] if owner == "all" else [])


@pytest.mark.parametrize("resource", ["logs", "machines"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("attributes", "Did you mean 'attributes.<key>'?"),
        ("attributes__contains", "Did you mean 'attributes.<key>__contains'?"),
        ("attributes__isnull", "Did you mean 'attributes.<key>__isnull'?"),
        ("attributes.", "1 to 64 characters"),
        ("attributes.__ne", "1 to 64 characters"),
        ("attributes.a.b", "no '.'"),
        ("attributes.a.b__ne", "no '.'"),
        ("attributes.a__b__ne", "no '__'"),
        ("attributes.a__", "Did you mean 'attributes.a__"),
        ("attributes.a__near", "Did you mean 'attributes.a__ne'?"),
        ("attributes.temp__contain", "Did you mean 'attributes.temp__contains'?"),
        ("attributes.temp__GTE", "Did you mean 'attributes.temp__"),
        (f"attributes.{'x' * 65}", "1 to 64 characters"),
        (f"attributes.{'x' * 65}__ne", "1 to 64 characters"),
        ("attributes.a\0b", "There is no parameter"),
        ("attribute.temp", "Did you mean 'attributes.<key>'?"),
        ("Attributes.temp", "Did you mean 'attributes.<key>'?"),
    ],
)
async def test_an_invalid_attribute_name_is_an_unknown_parameter(plant, resource, name, message):
    response = await plant.get(f"/{resource}", params={name: "1"})
    assert (response.status_code, response.json()["code"]) == (422, "unknown-parameter")
    assert response.json()["errors"][0]["parameter"] == name
    assert message in response.json()["detail"]


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ("logs", "machine.attributes"),
        ("logs", "machine.attributes."),
        ("logs", "machine.attributes.a.b"),
        ("logs", "machine.attributes.a__near"),
        ("logs", "user.attributes.a"),
        ("logs", "machine.sector.a"),
        ("logs", "comment.a"),
        ("machines", "machine.attributes.a"),
        ("users", "attributes.a"),
        ("log-types", "attributes.a"),
        ("machines/all/history", "attributes.a"),
        ("machines/all/history", "changes.a"),
    ],
)
async def test_only_logs_and_machines_have_attributes(plant, resource, name):
    response = await plant.get(f"/{resource}", params={name: "1"})
    assert (response.status_code, response.json()["code"]) == (422, "unknown-parameter")


@pytest.mark.parametrize(
    "query",
    [
        *[f"attributes.a__{operator}=true" for operator in ("lt", "lte", "gt", "gte")],
        *[f"machine.attributes.a__{operator}=false" for operator in ("lt", "gte")],
        *[f"attributes.a{operator}=1e999" for operator in ("", "__ne", "__lt", "__in", "__nin")],
        "attributes.a=-1e309",
        f"attributes.a={'9' * 400}",
        "attributes.a__in=1,1e999",
        'attributes.a__in="a',
        f"attributes.a__nin={','.join(['1'] * 201)}",
        "attributes.a__isnull=1",
        "attributes.a__isnull=",
        "attributes.a__contains=a%00b",
    ],
)
async def test_an_invalid_value_is_refused(plant, query):
    response = await plant.get(f"/logs?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "validation")
    assert response.json()["errors"][0]["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize("sort", ["attributes.temp", "attributes", "-machine.attributes.temp"])
async def test_no_list_is_sorted_by_attributes(plant, sort):
    assert (await plant.get(f"/logs?sort={sort}")).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "&".join(["attributes.a__nin=1,a,true"] * 300),
        "&".join(["machine.attributes.a__nin=1,a,true"] * 100),
        "&".join(f"attributes.{number}__ne=" for number in range(400)),
        "&".join(f"machine.attributes.{number}__contains=a" for number in range(200)),
        f"attributes.a__in={','.join(str(number) if number % 2 else 'a' for number in range(200))}",
    ],
)
async def test_a_query_with_many_attribute_conditions_succeeds(plant, query):
    response = await plant.get(f"/logs?count=exact&{query}")
    assert response.status_code == 200, response.text


async def test_a_cursor_belongs_to_its_attributes(plant):
    page = (await plant.get("/logs?limit=1&attributes.none__isnull=true&attributes.none__ne=1")).json()
    following = f"/logs?limit=1&cursor={page['next']}"
    again = await plant.get(f"{following}&attributes.none__ne=1&attributes.none__isnull=true")
    assert len(again.json()["items"]) == 1
    for other in ("attributes.none__isnull=true", "attributes.some__isnull=true&attributes.none__ne=1"):
        response = await plant.get(f"{following}&{other}")
        assert (response.status_code, response.json()["code"]) == (400, "cursor-mismatch")


async def test_written_attributes_are_found_at_once(plant):
    async def find_names(**filters):
        parameters = {name.replace("_", ".", 1): value for name, value in filters.items()}
        response = await plant.get("/machines", params={"fields": "name", **parameters})
        return [item["name"] for item in response.json()["items"]]

    assert (await plant.put("/machines/new", json={"attributes": {"w": "Été", "v": 3}})).status_code == 201
    assert await find_names(attributes_w__contains="ETE", attributes_v=3) == ["new"]
    assert (await plant.patch("/machines/new", json={"attributes": {"w": None, "v": "04"}})).status_code == 200
    assert await find_names(attributes_w__isnull="false") == []
    assert await find_names(attributes_v=4) == []
    assert await find_names(attributes_v="04") == ["new"]
    assert (await plant.put("/machines/new", json={})).status_code == 200
    assert await find_names(attributes_v__isnull="false") == []
    assert (await plant.delete("/machines/new")).status_code == 204
