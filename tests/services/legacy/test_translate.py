"""Translation of legacy records, without a database: tables of inputs and expected results."""

import json
from zoneinfo import ZoneInfo

import pytest

from machine_monitor.services.legacy import read, translate, values
from machine_monitor.services.legacy.read import Raw
from machine_monitor.services.legacy.translate import Rejected
from services.legacy.cases import AT, PARIS

STEM = "00000000-0000-4000-8000-000000000001"
LOG = {"machineName": "m", "type": "info", "timeStamp": AT}


def log(stem=STEM, **members):
    return translate.record(Raw("logs", f"logs/{stem}.json", stem, "", LOG | members), PARIS)


def machine(stem="m", **members):
    return translate.record(Raw("machines", f"machines/{stem}.json", stem, "", members), PARIS)


def user(**members):
    return translate.record(Raw("employs", "employs/x.json", "x", "", {"trigram": "abc"} | members), PARIS)


def notes(record):
    return [(note.field, note.code) for note in record.notes]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        *[(word, True) for word in ("oui", "OUI", " o ", "Yes", "y", "TRUE", "1", 1, True)],
        *[(word, False) for word in ("non", "N", "no", "false", "0", 0, False)],
        *[(word, None) for word in ("", "  ", None)],
    ],
)
def test_a_flag_has_the_spellings_of_the_legacy_tool(written, read_as):
    assert machine(in_service=written).values["in_service"] is read_as


@pytest.mark.parametrize("written", ["peut-être", 2, -1, 1.0, [], {}])
def test_an_invalid_flag_rejects_the_machine(written):
    (finding,) = machine(in_service=written).findings
    assert (finding.field, finding.level, finding.code) == ("in_service", "error", "invalid")
    assert finding.message.endswith(f", not {written!r}.")


def test_a_missing_flag_is_true():
    assert machine().values["in_service"] is True


@pytest.mark.parametrize(
    ("written", "read_as"), [("2019", 2019), (" 1998 ", 1998), (2004, 2004), (2004.0, 2004), ("", None), (None, None)]
)
def test_a_year_is_a_number_or_its_digits(written, read_as):
    assert machine(year_of_acquisition=written).values["year_of_acquisition"] == read_as


@pytest.mark.parametrize(
    "written", ["dix-neuf", "20.5", 2004.5, True, [2019], "1899", 0, 10**400, float("inf"), float("nan"), "٢٠١٩"]
)
def test_an_invalid_year_rejects_the_machine(written):
    (finding,) = machine(year_of_acquisition=written).findings
    assert (finding.field, finding.level) == ("year_of_acquisition", "error")


def test_both_faults_of_a_machine_are_reported():
    assert {finding.field for finding in machine(year_of_acquisition="x", in_service="x").findings} == {
        "year_of_acquisition",
        "in_service",
    }


@pytest.mark.parametrize(
    ("written", "read_as", "noted"),
    [
        (" 2B ", "2B", []),
        ("", None, []),
        ("  ", None, []),
        (42, "42", [("sector", "number")]),
    ],
)
def test_a_text_of_a_machine_is_trimmed(written, read_as, noted):
    record = machine(sector=written)
    assert (record.values["sector"], notes(record)) == (read_as, noted)


@pytest.mark.parametrize("written", ["x" * 201, "nul\0", "\ud800", True, ["x"]])
def test_an_invalid_text_rejects_the_record(written):
    (finding,) = machine(sector=written).findings
    assert (finding.field, finding.level) == ("sector", "error")


@pytest.mark.parametrize("stem", ["", " a", "..", "x" * 121, "a\tb"])
def test_an_invalid_machine_name_rejects_the_machine_and_its_logs(stem):
    assert [finding.field for finding in machine(stem).findings] == ["name"]
    assert [finding.field for finding in log(machineName=stem).findings] == ["machineName"]


@pytest.mark.parametrize(
    ("key", "value", "attributes", "code"),
    [
        ("cost", "183.05", {"cost": "183.05"}, None),
        ("n", 1.5, {"n": 1.5}, None),
        ("b", False, {"b": False}, None),
        ("zero", 0, {"zero": 0}, None),
        ("e", "", {}, None),
        ("e", None, {}, None),
        ("list", [1, "é"], {"list": '[1, "é"]'}, "attribute-value"),
        ("a.b__c", "x", {"a_b_c": "x"}, "attribute-key"),
        ("k" * 70, "x", {"k" * 64: "x"}, "attribute-key"),
        ("", "x", {"_": "x"}, "attribute-key"),
        ("long", "x" * 1001, {"long": "x" * 1000}, "attribute-value"),
        ("big", 2**60, {"big": str(2**60)}, "attribute-value"),
        ("inf", float("inf"), {"inf": "inf"}, "attribute-value"),
    ],
)
def test_an_unknown_key_becomes_an_attribute(key, value, attributes, code):
    record = log(**{key: value})
    assert record.values["attributes"] == attributes
    assert notes(record) == ([(key, code)] if code else [])


def test_a_generated_attribute_key_does_not_collide():
    assert log(**{"a.b": 1, "a_b": 2, "a..b": 3}).values["attributes"] == {"a_b_2": 1, "a_b": 2, "a_b_3": 3}


def test_too_many_attributes_reject_the_record():
    assert [finding.field for finding in log(**{f"k{i}": i for i in range(65)}).findings] == ["attributes"]


@pytest.mark.parametrize(
    ("written", "code", "label"),
    [
        ("info", "info", None),
        (" error ", "error", None),
        ("Empty consumable & reload", "reload", None),
        ("Réglage laser", "Reglage-laser", "Réglage laser"),
        ("清掃", "type-888dda3a", "清掃"),
        ("a" * 41, "a" * 40, "a" * 41),
    ],
)
def test_a_type_that_is_not_a_code_becomes_the_label_of_a_generated_code(written, code, label):
    record = log(type=written)
    assert (record.type_label, notes(record)) == (label, [("type", "made-code")] if label else [])
    assert record.values["type"] == code


@pytest.mark.parametrize("written", ["", None, ["info"], "x " * 200, "nul \0"])
def test_an_unusable_type_rejects_the_log(written):
    findings = log(type=written).findings
    assert {finding.field for finding in findings} == {"type"}


@pytest.mark.parametrize(
    ("written", "author", "attributes"),
    [
        ("angir", "angir", {}),
        ("", None, {}),
        (None, None, {}),
        ("anne giraud", None, {"userName": "anne giraud"}),
        (7, None, {"userName": 7}),
    ],
)
def test_an_author_is_a_trigram_or_an_attribute(written, author, attributes):
    record = log(userName=written)
    assert (record.values["user"], record.values["attributes"]) == (author, attributes)
    assert notes(record) == ([("userName", "no-trigram")] if attributes else [])


@pytest.mark.parametrize("name", ["comment", "project"])
def test_a_text_of_a_log_is_not_changed(name):
    assert log(**{name: " as written "}).values[name] == " as written "
    assert log(**{name: ""}).values[name] is None
    assert log().values[name] is None


@pytest.mark.parametrize(
    ("written", "at", "noted"),
    [
        (AT, "2025-07-25T13:18:25Z", []),
        ("2025_10_26__02_30_00", "2025-10-26T00:30:00Z", [("timeStamp", "ambiguous")]),
        ("2025_03_30__02_30_00", "2025-03-30T01:30:00Z", [("timeStamp", "skipped")]),
    ],
)
def test_a_time_is_read_in_the_legacy_format(written, at, noted):
    record = log(timeStamp=written)
    assert (record.values["started_at"], notes(record)) == (at, noted)


NO_TIMES = ("2025_02_30__10_00_00", "2025-07-28", "", None, 20250728, "2025_01_01__24_00_00")
OUT_OF_RANGE = ("1969_12_31__00_00_00", "0001_01_01__00_00_00", "9999_12_31__23_59_59")


@pytest.mark.parametrize("written", [*NO_TIMES, *OUT_OF_RANGE])
def test_an_invalid_time_rejects_the_log(written):
    assert [finding.field for finding in log(timeStamp=written).findings] == ["timeStamp"]


def test_a_file_name_in_capitals_is_the_same_uuid():
    stem = "ABCDEF00-0000-4000-8000-000000000001"
    assert log(stem).values["uuid"] == stem.lower()
    assert log("not-a-uuid").key == log("not-a-uuid").key != log("not-a-uuid2").key


EDIT = "2025_07_26__08_00_00"
EDITED = values.Edit("2025-07-26T06:00:00Z", "pma")


@pytest.mark.parametrize(
    ("key", "written", "read_as", "noted"),
    [
        ("modified", [[EDIT, "pma"]], (EDITED,), 0),
        ("modifications", f'[("{EDIT}", "pma")]', (EDITED,), 0),
        ("modifications", f'[["{EDIT}", ""]]', (EDITED._replace(user=None),), 0),
        ("modifications", "[]", (), 0),
        ("modifications", "", (), 0),
        ("modifications", None, (), 0),
        ("modifications", "__import__('os').abort()", (), 1),
        ("modifications", "[" * 5000, (), 1),
        ("modifications", "(" * 90_000 + ")" * 90_000, (), 1),
        ("modifications", "'\\d'", (), 1),
        ("modifications", "{}", (), 1),
        ("modified", 7, (), 1),
        ("modified", [[EDIT, "pma"], ["no time", "pma"], [EDIT], [EDIT, "no trigram"], [EDIT, 7]], (EDITED,), 4),
        ("modified", [["2025_07_27__08_00_00", "sle"], [EDIT, "pma"]],
         (EDITED, values.Edit("2025-07-27T06:00:00Z", "sle")), 0),
    ],
)  # fmt: skip
def test_edits_are_parsed_and_never_evaluated(key, written, read_as, noted):
    record = log(**{key: written})
    assert record.edits == read_as
    assert notes(record) == [(key, "edit")] * noted


@pytest.mark.parametrize(
    ("written", "role", "noted"),
    [
        ("admin", "admin", []),
        ("Lead", "lead", []),
        ("supervisor", "supervisor", []),
        ("user", "operator", []),
        ("operator", "operator", []),
        ("viewer", "viewer", []),
        ("boss", "operator", [("authorisation", "unknown-role")]),
        (None, "operator", [("authorisation", "unknown-role")]),
        (["admin"], "operator", [("authorisation", "unknown-role")]),
    ],
)
def test_a_legacy_authorisation_maps_to_a_role(written, role, noted):
    record = user(authorisation=written)
    assert (record.values["role"], notes(record)) == (role, noted)


def test_both_spellings_of_the_name_keys_of_a_user_are_read():
    expected = {"trigram": "abc", "first_name": "Anne", "last_name": "Giraud", "role": "admin"}
    assert user(firstName=" Anne ", lastName="Giraud", authorisation="admin").values == expected
    assert user(first_name="Anne", last_name="Giraud", authorisation="admin").values == expected
    assert notes(user(authorisation="admin", phone="1")) == [("phone", "dropped")]


@pytest.mark.parametrize("written", ["", None, "a/b", "x" * 13, ["a"]])
def test_a_user_without_a_trigram_is_rejected(written):
    assert isinstance(user(trigram=written, authorisation="admin"), Rejected)


@pytest.mark.parametrize("key", ["token", "Token", "TOKEN", "\\u0074oken"])
def test_a_token_is_removed_from_every_place(key):
    members, text = read.parse(f'{{"a": "é", "{key}": "secret", "b": {{"{key}": "secret"}}}}')
    assert members == {"a": "é", "b": {}}
    assert json.loads(text) == members
    assert "secret" not in text


def test_a_text_without_a_token_is_not_changed():
    text = '{\n "a" : 1.0 }'
    assert read.parse(text) == ({"a": 1.0}, text)


@pytest.mark.parametrize(
    "text", ['{"a": ', "[1]", "1", "", '{"a": NaN}', '{"a": Infinity}', "[" * 200_000, '{"a": ' + "9" * 5000 + "}"]
)
def test_a_record_that_is_not_an_object_is_an_error(text):
    with pytest.raises(ValueError, match=r"^(Not valid JSON:|Expected) [^{]*\.$"):
        read.parse(text)


def test_a_deeply_nested_value_does_not_fail():
    text = '{"a": ' + "[" * 400 + "]" * 400 + "}"
    record = translate.record(Raw("logs", "logs/x.json", STEM, text, LOG | read.parse(text)[0]), ZoneInfo("UTC"))
    assert record.values["attributes"]["a"].startswith("[[[")
