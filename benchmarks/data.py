"""Seeded records: the same rows and seed give the same plant, in the form that the API shows."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import accumulate, islice
from random import Random
from typing import Any

SEED = 1
# Of a user that every file has, so that the product is asked as a program asks it; the others do not mind.
SECRET = "b" * 43
TOKEN = f"mm_1_{SECRET}"
START = int(datetime(2005, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
FOREVER = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
DAY = 86_400
INTERVAL = (END - START) / 1_000_000
MACHINES = 500
SECTORS = tuple(f"{number}{letter}" for number in range(1, 7) for letter in "AB")
KINDS = ("Lathe", "Mill", "Press", "Robot", "Conveyor", "Oven", "Saw", "Grinder", "Pump", "Découpeuse")
USERS = tuple(f"{first}{last}x" for first in "abcdef" for last in "nopqr")
TYPES = {"error": 27, "info": 22, "maintenance": 18, "reload": 14, "inspection": 9, "cleaning": 6, "setting": 4}
SEVERITIES = {"info": 60, "minor": 25, "major": 12, "critical": 3}
STATUSES = {"done": 95, "open": 2, "in_progress": 2, "cancelled": 1}
PROJECTS = tuple(f"OF-{number:04}" for number in range(1000, 1060))
SPOKEN = """
    bearing motor spindle belt valve sensor oil leak noise pressure changed checked tool axis hydraulic pump
    seal cable fuse relay screw filter coolant alarm restart jammed broken worn loose tightened cleaned
    replaced adjusted arrêt moteur courroie roulement capteur fuite huile bruit pression remplacé serré
    nettoyé réglé broche vérin joint câble fusible filtre convoyeur bloqué cassé usé défaut alarme redémarrage
    température élevée contrôle graissage before after during shift night morning supplier ordered waiting
    spare part guard door switch emergency stop reset calibration drift vibration temperature overload current
    voltage encoder gripper clamp die mould nozzle feeder hopper chain gear shaft coupling brake clutch fan
    heater thermostat limit stroke cycle batch scrap quality operator training
"""
SYLLABLES = ("ba", "co", "di", "fu", "ga", "le", "mi", "no", "pa", "ra", "se", "ti", "vo", "tra", "ple", "cor", "mon")
VOCABULARY = 20_000
# Zipf-Mandelbrot 1 / (rank + 5): with 25 words a log the first is in 40 % of logs, the 300th in 1 %.
FLATTENING = 5
WORDS = 25


def vocabulary() -> list[str]:
    """The words of all texts, the most frequent first."""
    rng = Random(SEED)
    found = dict.fromkeys(SPOKEN.split())
    while len(found) < VOCABULARY:
        found["".join(rng.choices(SYLLABLES, k=rng.choice((2, 3, 3, 4))))] = None
    return list(found)


def machines() -> Iterator[dict[str, Any]]:
    """The machines, as `MachineCreate` shows them."""
    rng = Random(SEED)
    for number in range(MACHINES):
        kind = KINDS[number % len(KINDS)]
        yield {
            "name": f"{kind} {number:03}",
            "sector": SECTORS[number % len(SECTORS)],
            "usage": rng.choice(("turning", "milling", "packing", "moving", "heating", None)),
            "manufacturer": rng.choice(("Acme", "Borel", "Cincinnati", "Dufour")),
            "model": f"{kind[0]}{rng.randint(10, 99)}",
            "serial_number": f"SN-{rng.getrandbits(32):08x}",
            "year_of_acquisition": rng.randint(1985, 2005),
            "in_service": rng.random() < 0.95,
            "comment": None,
            "attributes": {"power_kw": rng.randint(2, 90)} if rng.random() < 0.5 else {},
        }


def users() -> Iterator[dict[str, Any]]:
    """The people, as `UserCreate` shows them."""
    for number, trigram in enumerate(USERS):
        role = "lead" if number % 10 == 0 else "operator"
        yield {"trigram": trigram, "first_name": f"First{number}", "last_name": None, "role": role, "active": True}


def machine_names() -> list[str]:
    """The names of all machines, the busiest first."""
    return [machine["name"] for machine in machines()]


def logs(rows: int, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """So many logs over twenty years, nearly in the order of their time, as `LogCreate` shows them."""
    pen = _Pen(rows, seed)
    step = (END - START) / rows
    for number in range(rows):
        yield pen.log(START + (number + pen.rng.random()) * step)


def recent(rows: int, seed: int) -> Iterator[dict[str, Any]]:
    """So many logs after all those, as often as a million of them in twenty years."""
    pen = _Pen(rows, seed)
    for number in range(rows):
        yield pen.log(END + (number + pen.rng.random()) * INTERVAL)


def fingerprint(rows: int) -> str:
    """What changes when other records are generated: files built before are then built anew."""
    sample = [*machines(), *users(), *islice(logs(rows), 100)]
    return blake2b(repr(sample).encode(), digest_size=8).hexdigest()


def text_of(at: float) -> str:
    """A time in seconds as the API writes it."""
    return f"{datetime.fromtimestamp(int(at), UTC).replace(tzinfo=None).isoformat()}Z"


class _Pen:
    """Writes one log after another."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rng = Random(seed)
        self.words = vocabulary()
        self.word_weights = list(accumulate(1 / (rank + FLATTENING) for rank in range(1, VOCABULARY + 1)))
        self.machines = machine_names()
        self.machine_weights = list(accumulate(1 / (rank + 100) for rank in range(MACHINES)))
        self.choices = {
            name: (list(weights), list(accumulate(weights.values())))
            for name, weights in (("type", TYPES), ("severity", SEVERITIES), ("status", STATUSES))
        }
        # Three in ten logs name a part, each part is named by about six logs.
        self.parts = max(1, rows // 20)

    def log(self, at: float) -> dict[str, Any]:
        """One log that began about then."""
        rng = self.rng
        draw = rng.random
        written = at
        if draw() < 0.02:
            at = max(START, at - draw() * 30 * DAY)
        minutes = 5 + int(draw() * draw() * 240)
        stopped = at - 60 * int(draw() * 20) if draw() < 0.25 else None
        tokens = rng.choices(self.words, cum_weights=self.word_weights, k=WORDS)
        comment, cause, action = " ".join(tokens[:13]), " ".join(tokens[13:19]), " ".join(tokens[19:])
        if draw() < 0.3:
            action += f" PN-{int(draw() * self.parts):07}"
        attributes = {"temp": 20 + int(draw() * 70), "shift": rng.choice("ABC")} if draw() < 0.3 else {}
        return {
            "uuid": self._uuid(written),
            "machine": rng.choices(self.machines, cum_weights=self.machine_weights)[0],
            "type": self._choice("type"),
            "severity": self._choice("severity"),
            "status": self._choice("status"),
            "comment": comment,
            "cause": cause if draw() < 0.9 else None,
            "action": action if draw() < 0.95 else None,
            "project": rng.choice(PROJECTS) if draw() < 0.3 else None,
            "user": rng.choice(USERS) if draw() < 0.95 else None,
            "started_at": text_of(at),
            "ended_at": text_of(at + 60 * minutes) if draw() < 0.9 else None,
            "down_from": text_of(stopped) if stopped else None,
            "down_to": text_of(at + 60 * minutes) if stopped and draw() < 0.95 else None,
            "attributes": attributes,
        }

    def _choice(self, name: str) -> str:
        values, weights = self.choices[name]
        return self.rng.choices(values, cum_weights=weights)[0]

    def _uuid(self, at: float) -> str:
        """A UUIDv7 of that time."""
        head, tail = f"{int(at * 1000):012x}", f"{self.rng.getrandbits(72):018x}"
        return f"{head[:8]}-{head[8:]}-7{tail[:3]}-8{tail[3:6]}-{tail[6:]}"
