"""Generates the records of the benchmark, in the JSON form of the API; the same arguments give the same records."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import accumulate, islice
from random import Random
from typing import Any

SEED = 1
# The API token of a user in every file, so that the product authenticates each request; other servers ignore it.
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
COMMON_WORDS = """
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
# Zipf-Mandelbrot distribution 1 / (rank + 5): at 25 words per log, the first word is in 40 % of the logs, the 300th
# in 1 %.
FLATTENING = 5
WORDS = 25


def vocabulary() -> list[str]:
    """Return the words of all texts, the most frequent first."""
    rng = Random(SEED)
    found = dict.fromkeys(COMMON_WORDS.split())
    while len(found) < VOCABULARY:
        found["".join(rng.choices(SYLLABLES, k=rng.choice((2, 3, 3, 4))))] = None
    return list(found)


def machines() -> Iterator[dict[str, Any]]:
    """Generate the machines, in the form of `MachineCreate`."""
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
            "listed": True,
            "comment": None,
            "attributes": {"power_kw": rng.randint(2, 90)} if rng.random() < 0.5 else {},
        }


def users() -> Iterator[dict[str, Any]]:
    """Generate the users, in the form of `UserCreate`."""
    for number, trigram in enumerate(USERS):
        role = "lead" if number % 10 == 0 else "operator"
        yield {"trigram": trigram, "first_name": f"First{number}", "last_name": None, "role": role, "active": True}


def machine_names() -> list[str]:
    """Return the names of all machines; the first has the most logs."""
    return [machine["name"] for machine in machines()]


def logs(rows: int, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Generate `rows` logs over twenty years, roughly in chronological order, in the form of `LogCreate`."""
    generator = _LogGenerator(rows, seed)
    step = (END - START) / rows
    for number in range(rows):
        yield generator.log(START + (number + generator.rng.random()) * step)


def recent(rows: int, seed: int) -> Iterator[dict[str, Any]]:
    """Generate `rows` logs that are newer than those of `logs`, at a rate of a million in twenty years."""
    generator = _LogGenerator(rows, seed)
    for number in range(rows):
        yield generator.log(END + (number + generator.rng.random()) * INTERVAL)


def fingerprint(rows: int) -> str:
    """Return a hash of a sample of the records: when the generator changes, existing files are rebuilt."""
    sample = [*machines(), *users(), *islice(logs(rows), 100)]
    return blake2b(repr(sample).encode(), digest_size=8).hexdigest()


def text_of(at: float) -> str:
    """Format a Unix time as the API does."""
    return f"{datetime.fromtimestamp(int(at), UTC).replace(tzinfo=None).isoformat()}Z"


class _LogGenerator:
    """Generates one log after another."""

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
        # Three in ten logs mention a part number, and each part number occurs in about six logs.
        self.parts = max(1, rows // 20)

    def log(self, at: float) -> dict[str, Any]:
        """Generate a log that began at about this time."""
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
            "down_kind": None,
            "attributes": attributes,
        }

    def _choice(self, name: str) -> str:
        values, weights = self.choices[name]
        return self.rng.choices(values, cum_weights=weights)[0]

    def _uuid(self, at: float) -> str:
        """Return a UUIDv7 for this time."""
        head, tail = f"{int(at * 1000):012x}", f"{self.rng.getrandbits(72):018x}"
        return f"{head[:8]}-{head[8:]}-7{tail[:3]}-8{tail[3:6]}-{tail[6:]}"
