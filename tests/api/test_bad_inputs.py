"""Invalid request bodies are refused, and each fault points at its field."""

import json

import pytest

from api.resource_cases import LOGS, MACHINES, RESOURCES, TYPES, USERS, create

pytestmark = pytest.mark.asyncio(loop_scope="module")
every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.path)
JSON = {"Content-Type": "application/json"}
LONE = "\ud800"
HUGE = 10**400

# Invalid values of each kind of field.
NO_TEXT = (1, 1.5, True, [], {}, ["x"], "a\0b", LONE, f"x{LONE}y", "\udfff")
NO_FLAG = (0, 1, "true", "", [], {})
NO_TIME = (
    "",
    "now",
    "today",
    "2025-07-25",
    "2025-02-30T00:00Z",
    "2025-07-25T13:18:60Z",
    "2025-07-25T24:00:00Z",
    0,
    1e12,
    True,
)
NO_TIME += (
    "1753449505",
    "1969-12-31T23:59:59Z",
    "2101-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    [],
    {},
    LONE,
    "1e12",
)
NO_TIME += (
    "9999-12-31T23:59:59-14:00",
    "2025-07-25T13:18:25+99:00",
    "2025-07-25T13:18:25\0",
    "-1d",
    "٢٠٢٥-07-25T13:18:25Z",
)
NO_CODE = ("", " ", "a b", "-a", ".a", "é", "a/b", "a\n", "a" * 41, "a\0", LONE, 1, None, True, [])
NO_NAME = (
    "",
    " ",
    " a",
    "a ",
    "a\u00a0",
    "a/b",
    "a\nb",
    "a\0b",
    "\u0085a",
    "a\x7fb",
    ".",
    "..",
    "a" * 121,
    LONE,
    1,
    None,
    [],
    {},
)
NO_OBJECT = (None, [], "x", 1, True)
BAD_ATTRIBUTES = (
    {"": 1},
    {"a.b": 1},
    {"a__b": 1},
    {"k" * 65: 1},
    {"a\0": 1},
    {LONE: 1},
    {"a": "x" * 1001},
    {"a": "\0"},
    {"a": LONE},
    {"a": []},
    {"a": {}},
    {"a": 2**53},
    {"a": -(2**53)},
    {"a": HUGE},
    {f"k{i}": 1 for i in range(65)},
)
VALUES = [
    *[(MACHINES, "name", value) for value in NO_NAME],
    *[(MACHINES, "sector", value) for value in (*NO_TEXT, "x" * 201)],
    *[(MACHINES, "comment", value) for value in (*NO_TEXT, "x" * 20_001)],
    *[
        (MACHINES, "year_of_acquisition", value)
        for value in ("2025", 1899, 2101, 2025.0, 2025.5, True, 2**31, 2**63, HUGE, [])
    ],
    *[(MACHINES, "in_service", value) for value in NO_FLAG],
    *[
        (resource, "attributes", value)
        for resource in (MACHINES, LOGS)
        for value in (*NO_OBJECT, *BAD_ATTRIBUTES, {"a": None})
    ],
    *[
        (LOGS, "uuid", value)
        for value in ("", "abc", "0" * 32, "g" * 36, 1, None, LONE, "{00000000-0000-0000-0000-000000000000}")
    ],
    *[(LOGS, "machine", value) for value in NO_NAME],
    *[(LOGS, "type", value) for value in NO_CODE],
    *[(LOGS, "severity", value) for value in ("", "INFO", "bad", 0, None, True, LONE, [], {})],
    *[(LOGS, "status", value) for value in ("", "Done", "closed", None, LONE, [])],
    *[(LOGS, "down_kind", value) for value in ("", "Failure", "other", 0, True, LONE, [])],
    *[(LOGS, name, value) for name in ("comment", "cause", "action") for value in (*NO_TEXT, "🛠" * 20_001)],
    *[(LOGS, "project", value) for value in (*NO_TEXT, "🛠" * 201)],
    *[(LOGS, "user", value) for value in ("", "a b", "é", "a" * 13, 1, True, LONE)],
    *[(LOGS, "started_at", value) for value in (*NO_TIME, None)],
    *[(LOGS, name, value) for name in ("ended_at", "down_from", "down_to") for value in NO_TIME],
    *[(TYPES, "code", value) for value in NO_CODE],
    *[(TYPES, "label", value) for value in (*NO_TEXT, None, "x" * 201)],
    *[(TYPES, name, value) for name in ("counts_as_failure", "active") for value in (*NO_FLAG, None)],
    *[(USERS, "trigram", value) for value in (*NO_CODE, "a" * 13)],
    *[(USERS, name, value) for name in ("first_name", "last_name") for value in (*NO_TEXT, "x" * 201)],
    *[(USERS, "role", value) for value in ("", "boss", "Admin", 0, None, LONE)],
    *[(USERS, "active", value) for value in (*NO_FLAG, None)],
    *[
        (resource, name, 1)
        for resource in RESOURCES
        for name in ("unknown", "", "a/b", LONE, "expanded", "deleted_at", "name_key")
    ],
]


@every_resource
async def test_an_invalid_value_is_refused_with_a_pointer(seeded, resource):
    key, record = await create(seeded, resource)
    wrong = []
    for name, value in [(name, value) for of, name, value in VALUES if of is resource]:
        body = json.dumps(resource.body(resource.new_key()) | {name: value}).encode()
        changed = json.dumps({name: value}).encode()
        requests = [("POST", f"/{resource.path}", body), ("PUT", resource.path_of(resource.new_key()), body)]
        if value != {"a": None}:
            requests.append(("PATCH", resource.path_of(key), changed))
        for method, url, content in requests:
            answer = await seeded.request(method, url, content=content, headers=JSON)
            pointers = [error.get("pointer") for error in answer.json().get("errors", [])]
            # For a name that is not valid Unicode, the pointer refers to the enclosing object.
            pointer = "" if name in ("", LONE) else "/" + name.replace("/", "~1")
            if answer.status_code != 422 or not any((found or "").startswith(pointer) for found in pointers):
                wrong.append((method, name, repr(value)[:40], answer.status_code, pointers))
    assert wrong == []
    assert (await seeded.get(resource.path_of(key))).json() == record


async def test_a_duplicate_key_is_named(seeded):
    refused = await seeded.post("/logs", content=b'{"type": "x", "comment": "a", "comment": "b"}', headers=JSON)
    assert refused.json()["detail"] == "The body contains the key 'comment' more than once."


@every_resource
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_body_that_is_not_a_json_object_is_refused(seeded, resource, method):
    deep = {depth: b'{"a":' * depth + b"1" + b"}" * depth for depth in (32, 33, 100_000)}
    rows = [
        (b"", 400),
        (b"{", 400),
        (b"{'a': 1}", 400),
        (b'{"a": 1,}', 400),
        (b'{"a": 1} x', 400),
        (b'{"a": NaN}', 400),
        (b'{"a": Infinity}', 400),
        (b'{"a": -Infinity}', 400),
        (b'{"a": 01}', 400),
        (b'{"a": 1, "a": 1}', 400),
        (b'{"a": 1, "\\u0061": 1}', 400),
        (b'{"a": {"b": 1, "b": 1}}', 400),
        (b'{"\\ud800": 1, "\\ud800": 1}', 400),
        (b'{"a": "\xff"}', 400),
        (b'{"a": "\xed\xa0\x80"}', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b"\xff\xfe{\x00}\x00", 400),
        (b'{"a": "\n"}', 400),
        (deep[33], 400),
        (deep[100_000], 400),
        (b"[" * 500_000, 400),
        (deep[32], 422),
        (b"[]", 422),
        (b"null", 422),
        (b"1", 422),
        (b'"x"', 422),
        (b'"\\ud800"', 422),
        (b'{"\\ud800": 1}', 422),
    ]
    key, _ = await create(seeded, resource)
    wrong = []
    for content, status in rows:
        url = f"/{resource.path}" if method == "POST" else resource.path_of(key)
        answer = await seeded.request(method, url, content=content, headers=JSON)
        code = {400: "bad-json", 422: "validation"}[status]
        if (answer.status_code, answer.json()["code"]) != (status, code):
            wrong.append((content[:30], answer.status_code, answer.text[:200]))
    assert wrong == []


@every_resource
@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000, b"1" + b"0" * 400, b"1e-999"])
async def test_extreme_numbers_never_cause_a_server_error(seeded, resource, number):
    key, _ = await create(seeded, resource)
    for name in ("attributes", "version", "year_of_acquisition", "unknown"):
        value = b'{"a": %s}' % number if name == "attributes" else number
        answer = await seeded.patch(resource.path_of(key), content=b'{"%s": %s}' % (name.encode(), value), headers=JSON)
        assert answer.status_code in (200, 400, 412, 422)
        assert number[:50] not in answer.content or answer.status_code == 200


ORDERS = [
    ({"ended_at": "2025-01-01T00:00:00Z"}, "/ended_at"),
    ({"down_to": "2025-01-02T00:00:00Z"}, "/down_to"),
    ({"down_from": "2025-01-02T00:00:00.000001Z", "down_to": "2025-01-02T00:00:00Z"}, "/down_to"),
    ({"down_kind": "planned"}, "/down_kind"),
]


@pytest.mark.parametrize(("times", "pointer"), ORDERS)
async def test_times_must_be_in_order_within_a_body_and_with_stored_times(seeded, times, pointer):
    start = {"started_at": "2025-01-01T00:00:00.000001Z"}
    key, record = await create(seeded, LOGS, **start)
    for answer in (
        await seeded.post("/logs", json=LOGS.minimal_body | start | times),
        await seeded.put(LOGS.path_of(LOGS.new_key()), json=LOGS.minimal_body | start | times),
        await seeded.put(LOGS.path_of(key), json=LOGS.minimal_body | times),
        await seeded.patch(LOGS.path_of(key), json=times),
    ):
        assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])
    assert (await seeded.get(LOGS.path_of(key))).json() == record


@pytest.mark.parametrize(
    "patch",
    [
        {"started_at": "2025-01-03T00:00:00Z"},
        {"down_from": None},
        {"down_from": None, "down_to": None},
        {"down_kind": "broken"},
        {"down_from": "2025-01-02T00:00:01Z"},
        {"down_to": "2024-12-31T00:00:00Z"},
        {"ended_at": "2024-12-31T00:00:00Z"},
    ],
)
async def test_a_patch_is_validated_together_with_the_stored_values(seeded, patch):
    times = {"started_at": "2025-01-01T00:00:00Z", "ended_at": "2025-01-02T00:00:00Z"}
    times |= {"down_from": "2025-01-01T00:00:00Z", "down_to": "2025-01-02T00:00:00Z", "down_kind": "external"}
    key, record = await create(seeded, LOGS, **times)
    assert (await seeded.patch(LOGS.path_of(key), json=patch)).status_code == 422
    assert (await seeded.get(LOGS.path_of(key))).json() == record
    fine = await seeded.patch(LOGS.path_of(key), json={"down_kind": "planned"})
    assert (fine.status_code, fine.json()["down_kind"]) == (200, "planned")
    stop = dict.fromkeys(("down_from", "down_to", "down_kind", "ended_at"))
    assert (await seeded.patch(LOGS.path_of(key), json=stop)).status_code == 200


async def test_attributes_have_at_most_64_keys_also_after_a_merge(seeded):
    full = {f"k{i}": i for i in range(64)}
    key, _ = await create(seeded, MACHINES, attributes=full)
    over = await seeded.patch(MACHINES.path_of(key), json={"attributes": {"one more": 1}})
    assert (over.status_code, over.json()["errors"][0]["pointer"]) == (422, "/attributes")
    exchanged = await seeded.patch(MACHINES.path_of(key), json={"attributes": {"one more": 1, "k0": None}})
    assert (exchanged.status_code, len(exchanged.json()["attributes"])) == (200, 64)
    # A patch may contain more than 64 keys, because null removes a key.
    others = {f"other{i}": i for i in range(64)}
    patch = dict.fromkeys(exchanged.json()["attributes"]) | others
    answer = await seeded.patch(MACHINES.path_of(key), json={"attributes": patch})
    assert (answer.status_code, answer.json().get("attributes")) == (200, others)
