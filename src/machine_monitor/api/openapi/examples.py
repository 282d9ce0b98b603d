"""Examples in OpenAPI: requests that succeed on the sample plant of `mm demo`.

Swagger UI and other tools fill their forms with them; without an example they invent texts from the patterns.
"""

from typing import Any

UUID = "01890a5d-ac96-774b-bcce-b302099a8057"
ATTACHMENT = "01890a5d-ac96-774b-bcce-b302099a8059"
LOG = {
    "machine": "Tour CN 1",
    "type": "error",
    "severity": "major",
    "comment": "Spindle vibrates above 3,000 rpm.",
    "started_at": "2026-03-02T08:15:00+01:00",
}
REPAIR = {"cause": "Worn bearing.", "action": "Replaced the bearing.", "attributes": {"bearing": "6205-2RS"}}
MACHINE = {"sector": "Usinage", "manufacturer": "Ovrandel", "model": "OV-250", "year_of_acquisition": 2024}
# By the name of the schema of the body. The bodies of PATCH change what the bodies of PUT have written.
BODIES: dict[str, dict[str, Any]] = {
    "LogCreate": LOG,
    "LogReplace": LOG | REPAIR,
    "LogUpdate": {"severity": "critical", "attributes": {"bearing": None}},
    "LogBulk": {"mode": "atomic", "items": [LOG, {**LOG, "type": "maintenance", **REPAIR}]},
    "MachineCreate": {"name": "Press 12", **MACHINE},
    "MachineReplace": MACHINE,
    "MachineUpdate": {"comment": "Moved beside the entrance."},
    "AttachmentRename": {"name": "Worn bearing.jpg"},
    "MachineMerge": {"into": "Tour CN 2"},
    "LogTypeCreate": {"code": "lubrication", "label": "Lubrication"},
    "LogTypeReplace": {"label": "Calibration"},
    "LogTypeUpdate": {"active": True},
    "UserCreate": {"trigram": "JDO", "first_name": "Jane", "last_name": "Doe", "role": "operator"},
    "UserReplace": {"first_name": "Sarah", "last_name": "Okafor", "role": "lead"},
    "UserUpdate": {"role": "supervisor"},
    "Mapping": {
        "name": "orders",
        "zone": "Europe/Paris",
        "key": ["Order"],
        "fields": {
            "machine": "Equipment",
            "started_at": {"columns": ["Date", "Time"], "dates": ["dmy"]},
            "type": {"const": "error"},
            "comment": "Text",
        },
    },
    "MappingProposal": {"read": {"format": "csv", "delimiter": ";", "header": 2}},
    "TokenCreate": {"name": "Monthly report", "scope": "read", "days": 90},
    "SignIn": {"trigram": "ABE", "password": "the password of ABE"},
    "NewPassword": {"current": "the current password", "new": "a new long password"},
    "SetUp": {"code": "the code of the link", "password": "a new long password"},
}
# By the name of the parameter of a path.
PATH_PARAMETERS = {"uuid": UUID, "id": ATTACHMENT, "name": "Tour CN 1", "code": "calibration", "trigram": "SOK"}
PATHS_OF_IMPORTS = {"name": "orders", "id": UUID}
