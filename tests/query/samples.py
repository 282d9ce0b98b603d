"""Sample records for many tests: nulls, accents, LIKE wildcards, times at day boundaries in Paris."""

MACHINES = (
    {"name": "Pelle Nº1", "sector": "1A", "manufacturer": "Liebherr", "year_of_acquisition": 2010}
    | {"attributes": {"temp": 80, "n°": "1"}},
    {"name": "pelle 2", "sector": "1B", "usage": "carrière", "year_of_acquisition": 2020, "in_service": False},
    {"name": "Grue_100%", "sector": "1A", "model": "", "in_service": None},
    {"name": "Écluse", "comment": "à côté du 100% neuf", "attributes": {"temp": "abc"}},
    {"name": "broyeur Ω 🛠", "sector": "Zone 2, nord", "serial_number": "SN-42", "year_of_acquisition": 1900},
)
TYPES = ({"code": "drain", "label": "Vidange"}, {"code": "X-1.a", "label": "", "counts_as_failure": True})
USERS = (
    {"trigram": "ABC", "first_name": "Zoé", "last_name": "Durand"},
    {"trigram": "DEF", "role": "lead"},
    {"trigram": "gh.1", "first_name": "ana", "role": "admin"},
)
_P, _Q, _G, _E, _B = (machine["name"] for machine in MACHINES)
# One row per log, in the order of writing; the first one has number 1.
_COLUMNS = ("machine", "type", "severity", "status", "user", "started_at", "comment", "project", "ended_at")
_ROWS = (
    (_P, "error", "critical", "done", "ABC", "2025-07-24T22:00:00Z", "Fuite d'huile moteur", "P1", None),
    (_P, "error", "major", "open", "ABC", "2025-07-24T21:59:59.999999Z", "fuite, huile", "p1", None),
    (_P, "info", "info", "done", None, "2025-07-25T21:59:59.999999Z", "50% de l'huile", "P1", "2025-07-25T22:00:00Z"),
    (_P, "reload", "minor", "cancelled", "DEF", "2025-07-25T22:00:00Z", "50 x de lhuile", "P_1", None),
    (_Q, "drain", "info", "in_progress", "DEF", "2025-03-30T01:30:00Z", None, None, None),
    (_Q, "drain", "info", "done", "DEF", "2025-03-30T01:30:00Z", "", "", "2025-03-30T01:30:00Z"),
    (_Q, "drain", "major", "done", "gh.1", "2025-03-30T01:30:00Z", "Vidange godet PN-0042", "Pé", None),
    (_Q, "X-1.a", "info", "done", None, "2025-10-26T00:30:00Z", "vidange PN 0042 terminée", "pe", None),
    (_G, "X-1.a", "critical", "open", "gh.1", "2025-10-26T01:30:00Z", "PN-00421", "P,1", "2025-10-26T01:30:00.5Z"),
    (_G, "error", "critical", "in_progress", None, "1970-01-01T00:00:00Z", "câble USÉ", 'P"1', None),
    (_G, "info", "info", "done", "ABC", "2100-12-31T23:59:59.999999Z", "cable\\usé", "P\\1", None),
    (_G, "cleaning", "info", "done", "ABC", "2025-01-01T00:00:00Z", "a_b", "Z", None),
    (_E, "cleaning", "minor", "done", "DEF", "2025-01-01T00:00:00.5Z", "aXb", "z", "2025-01-02T00:00:00Z"),
    (_E, "setting", "minor", "done", None, "2025-01-01T00:00:00.000001Z", "godet moteur", "é", None),
    (_E, "setting", "minor", "open", "gh.1", "2024-12-31T23:59:59Z", "moteur du godet 🛠", "e\u0301", None),
    (_E, "inspection", "info", "done", "ABC", "2024-02-29T12:00:00Z", "🛠🛠", "🛠", None),
    (_B, "inspection", "info", "done", "ABC", "2024-02-29T12:00:00Z", "AND OR NEAR", "￿", "2024-03-01T00:00:00Z"),
    (_B, "maintenance", "major", "cancelled", None, "2024-02-29T12:00:00Z", "Straße GROẞ", "straße", None),
    (_B, "maintenance", "major", "done", "DEF", "2024-02-29T12:00:00Z", "huileux", " ", None),
    (_B, "error", "minor", "open", "gh.1", "2024-02-29T12:00:00Z", "huile-moteur", None, None),
    (_P, "info", "info", "done", None, "2025-07-25T12:00:00Z", "l'été", "10", None),
    (_P, "info", "info", "done", None, "2025-07-25T12:00:00Z", "letel", "9", "2025-07-25T13:00:00Z"),
    (_Q, "info", "critical", "done", "ABC", "2025-07-25T12:00:00Z", None, "٣", None),
    (_G, "info", "major", "done", "DEF", "2025-07-25T12:00:00Z", None, None, None),
    (_E, "info", "minor", "open", "gh.1", "2025-07-25T12:00:00Z", "ﬁltre à air", "A", None),
)
# Further fields of some of these logs, by number.
_MORE_FIELDS = {
    1: {
        "cause": "joint usé",
        "action": "joint changé",
        "down_from": "2025-07-24T22:00:00Z",
        "down_kind": "external",
    },
    5: {"cause": "huile", "down_from": "2025-03-30T01:00:00Z", "down_to": "2025-03-30T01:00:00Z"},
    7: {"action": "huile", "attributes": {"temp": 80, "note": "Été"}},
    8: {"attributes": {"temp": "80", "note": "80"}},
    9: {"attributes": {"temp": 80.00000000000001, "note": True}},
    10: {"attributes": {"temp": "8E+1", "note": ""}},
    11: {"attributes": {"temp": -0.0, "note": "true"}},
    12: {"attributes": {"temp": "1e999", "note": False}},
    13: {
        "cause": "",
        "action": "huile\nmoteur",
        "down_from": "2025-01-01T00:00:00Z",
        "down_to": "2025-01-01T00:00:01Z",
        "down_kind": "failure",
    },
    20: {"cause": "fin", "action": "debut"},
}


def uuid_of(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{number * 7919 % 251:012x}"


LOGS = tuple(
    {"uuid": uuid_of(number), **dict(zip(_COLUMNS, row, strict=True)), **_MORE_FIELDS.get(number, {})}
    for number, row in enumerate(_ROWS, 1)
)


async def seed(client) -> None:
    bodies = {"machines": MACHINES, "log-types": TYPES, "users": USERS, "logs": LOGS}
    for path, records in bodies.items():
        for record in records:
            answer = await client.post(f"/{path}", json=record)
            assert answer.status_code == 201, answer.text


async def collect(client, path: str, **parameters) -> list[dict]:
    answer = await client.get(f"/{path}", params={"limit": 500, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]
