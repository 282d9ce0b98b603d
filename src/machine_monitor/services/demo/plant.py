"""The sample plant: its users, its machines, and how often and how each machine fails."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Any, NamedTuple


class Person(NamedTuple):
    """A user of the sample plant, who writes in one language."""

    trigram: str
    first_name: str
    last_name: str
    role: str
    language: str


class MachineKind(NamedTuple):
    """The common properties of the machines of one kind; `share` is the number per 40 machines, `power` is in kW."""

    share: int
    label: str
    sector: str
    usage: str
    maker: str
    power: float
    faults: str


@dataclass(frozen=True)
class Machine:
    """A machine: its record, how often it fails (`proneness`), and its faults, most frequent first."""

    values: dict[str, Any]
    proneness: float
    faults: list[str]
    placeholders: dict[str, str]
    hours: int


TYPES = (
    {"code": "calibration", "label": "Calibration / étalonnage"},
    {"code": "safety", "label": "Safety / sécurité"},
)
PEOPLE = (
    Person("ABE", "Anaïs", "Berthelin", "admin", "fr"),
    Person("TWH", "Thomas", "Whitlow", "supervisor", "en"),
    Person("MLF", "Marc", "Leforestier", "lead", "fr"),
    Person("SOK", "Sarah", "Okafor", "lead", "en"),
    Person("JPG", "Jean-Philippe", "Girodet", "operator", "fr"),
    Person("CDU", "Chloé", "Dumarchais", "operator", "fr"),
    Person("RHO", "Rhys", "Hollowell", "operator", "en"),
    Person("KAD", "Kofi", "Adomako", "operator", "en"),
    Person("LVR", "Lucie", "Verronneau", "operator", "fr"),
    Person("GPE", "Gérard", "Perrachon", "operator", "fr"),
    Person("DSH", "Dean", "Shawbrook", "operator", "en"),
    Person("HMA", "Hélène", "Marchandet", "viewer", "fr"),
)
ADMIN = "ABE"
KINDS = (
    MachineKind(
        7, "Tour CN", "Usinage", "Turned shafts and bushes", "Ovrandel", 15, "chips spindle axis tools coolant door"
    ),
    MachineKind(
        6, "Fraiseuse", "Usinage", "Fraisage de carters", "Kestarix", 22, "tools spindle coolant axis chips power"
    ),
    MachineKind(3, "Rectifieuse", "Usinage", "Finition des portées", "Norvaquil", 9, "axis spindle coolant door"),
    MachineKind(3, "Scie à ruban", "Usinage", "Débit de barres", "Lixandre", 3, "blade coolant hose door"),
    MachineKind(5, "3D printer", "Additive lab", "Prototypes and jigs", "Zorvanne", 1.2, "nozzle bed door"),
    MachineKind(4, "Presse plieuse", "Tôlerie", "Pliage jusqu'à 4 m", "Draskovane", 18, "pressure curtain hose power"),
    MachineKind(2, "Laser cutter", "Tôlerie", "Sheets up to 12 mm", "Trimarouk", 45, "axis door power"),
    MachineKind(4, "Welding robot", "Welding", "Frames in series", "Pelquinor", 11, "wire curtain power"),
    MachineKind(3, "Compressor", "Énergies", "Compressed air of the plant", "Gaulvent", 37, "leak power"),
    MachineKind(3, "Forklift", "Yard", "Loading and storage", "Bellgarrow", 8, "battery hose pressure"),
)


def people() -> Iterator[dict[str, Any]]:
    """Yield the records of the users."""
    for person in PEOPLE:
        values = person._asdict()
        del values["language"]
        yield values


def machines(rng: Random, count: int, year: int) -> list[Machine]:
    """Generate machines. A few of them fail often; two are out of service, and of one that is unknown."""
    shares = sorted(((i + 0.5) / kind.share, kind) for kind in KINDS for i in range(kind.share))
    in_service = {count // 2: False, count // 3: False, count - 1: None}
    numbers, built = Counter(), []
    for rank, (_, kind) in zip(rng.sample(range(count), count), cycle(shares), strict=False):
        numbers[kind] += 1
        age = rng.randint(4, 12)
        values = _master_data(rng, kind, year - age)
        values |= {"name": f"{kind.label} {numbers[kind]}", "in_service": in_service.get(rank, True)}
        faults = kind.faults.split()
        placeholders = {"axis": rng.choice("XYZ"), "n": str(rng.randint(2, 4)), "alarm": str(rng.randint(201, 989))}
        built.append(
            Machine(
                values, (rank + 1) ** -0.9, rng.sample(faults, len(faults)), placeholders, age * rng.randint(900, 2_600)
            )
        )
    return built


def _master_data(rng: Random, kind: MachineKind, year: int) -> dict[str, Any]:
    return {
        "sector": kind.sector,
        "usage": kind.usage,
        "manufacturer": kind.maker,
        "model": f"{kind.maker[:2].upper()}-{rng.choice((120, 160, 200, 250, 320, 400))}",
        "serial_number": f"{year % 100:02}{rng.choice('ABCDEFGHK')}-{rng.randint(1_000, 9_999)}",
        "year_of_acquisition": year,
        "comment": "Manual in the cabinet, German only." if rng.random() < 0.2 else None,
        "attributes": {"power_kw": kind.power, "voltage": 230 if kind.power < 3 else 400},
    }
