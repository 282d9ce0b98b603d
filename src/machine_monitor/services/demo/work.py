"""The work: what is written of the machines, day after day."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from machine_monitor.services.demo.plant import PEOPLE, Machine, Person
from machine_monitor.services.demo.texts import AWAITED, CANCELLED, FAULTS, ROUTINES, SECTORS, spoken

PERIOD = timedelta(days=3 * 365)
LATELY = timedelta(days=14)
WEEK = (1.1, 1.0, 1.0, 1.0, 0.9, 0.3, 0.05)
HOURS = (1, 1, 1, 1, 1, 2, 9, 12, 13, 12, 11, 8, 6, 9, 10, 9, 8, 7, 6, 5, 4, 3, 1, 1)
# Of what is not minor.
SEVERITIES = dict.fromkeys(("spindle", "tools", "axis", "power", "pressure"), "major") | {"hose": "critical"}
# Minutes of work: the least, the most, and what is usual; then how often the machine stands meanwhile.
EFFORT = {"minor": (5, 75, 20, 0.35), "major": (30, 420, 90, 0.9), "critical": (120, 2_880, 400, 1)}
HOT = {"spindle": (68, 96), "bed": (31, 48)}
PRECISE = ("setting", "calibration")
PROJECTS = ("Mistral", "Heron", "Caténaire", "Blackthorn", "Tramontane", "Skylark", "Belvédère", "Ironbridge")
WRITERS = [person for person in PEOPLE if person.role != "viewer"]


@dataclass
class Diary:
    """Tells the years in order: a machine that stands still has no other visits until it runs again."""

    rng: Random
    machines: list[Machine]
    until: datetime
    free_at: dict[str, datetime] = field(default_factory=dict)

    def tell(self, count: int) -> Iterator[dict[str, Any]]:
        """So many logs, by the time when they begin."""
        standing = min(len(self.machines) // 12, 3)
        for at in self._starts(count):
            person, failed = self.rng.choice(WRITERS), self.rng.random() < 0.27
            machine = self._machine(at, failed=failed)
            log = self._fault(machine, person, at) if failed else self._routine(machine, person, at)
            if failed and standing and self.until - at < LATELY:
                standing -= 1
                log |= {"severity": "critical", "status": "in_progress", "action": spoken(AWAITED, person.language)[0]}
                log |= {"ended_at": None, "down_from": at, "down_to": None}
            else:
                self._settle(log, person)
            stands = log.get("down_from") and not log["down_to"]
            self.free_at[log["machine"]] = self.until if stands else log.get("down_to") or at
            yield log

    def _starts(self, count: int) -> list[datetime]:
        """When interventions begin, by the clock of the plant."""
        midnight = datetime.combine(self.until, time(), self.until.tzinfo)
        days = [midnight - timedelta(i) for i in range(PERIOD.days)]
        weights = list(accumulate(WEEK[day.weekday()] for day in days))
        found: list[datetime] = []
        while len(found) < count:
            [day], [hour] = self.rng.choices(days, cum_weights=weights), self.rng.choices(range(24), HOURS)
            at = day.replace(hour=hour, minute=self.rng.randrange(60)).astimezone(UTC)
            if at < self.until - timedelta(minutes=5):
                found.append(at)
        return sorted(found)

    def _machine(self, at: datetime, *, failed: bool) -> Machine:
        left = at > self.until - PERIOD / 4
        there = [machine for machine in self.machines if not left or machine.values["in_service"] is not False]
        there = [machine for machine in there if self.free_at.get(machine.values["name"], at) <= at] or there
        return self.rng.choices(there, [machine.proneness ** (1 if failed else 0.25) for machine in there])[0]

    def _log(self, machine: Machine, person: Person, at: datetime, minutes: float) -> dict[str, Any]:
        rng = self.rng
        order = f"OF-{at:%y%m}{rng.randint(10, 99)}"
        project = order if rng.random() < 0.7 else PROJECTS[(at.year * 12 + at.month) // 3 % len(PROJECTS)]
        return {
            "uuid": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "machine": machine.values["name"],
            "user": person.trigram if rng.random() > 0.03 else None,
            "project": project if rng.random() < 0.3 else None,
            "started_at": at,
            "ended_at": at + timedelta(minutes=round(minutes)),
            "attributes": {},
        }

    def _fault(self, machine: Machine, person: Person, at: datetime) -> dict[str, Any]:
        rng = self.rng
        fault = rng.choices(machine.faults, [1 / (i + 1) for i in range(len(machine.faults))])[0]
        told = spoken(FAULTS[fault], person.language)
        seen, (_, cause, action) = rng.choice(told)[0], rng.choices(told, (5, 2))[0]
        severity = rng.choices((SEVERITIES.get(fault, "minor"), "minor", "major"), (7, 2, 1))[0]
        *minutes, stops = EFFORT[severity]
        log = self._log(machine, person, at, rng.triangular(*minutes))
        log |= {"type": "error", "severity": severity, "comment": seen.format(**machine.marks), "action": action}
        if rng.random() < 0.88:
            log["cause"] = cause.format(**machine.marks)
        if fault in HOT:
            log["attributes"]["temp"] = rng.randint(*HOT[fault])
        if "spindle" in machine.faults:
            log["attributes"]["spindle_hours"] = machine.hours + (at - self.until + PERIOD).days * 9
        if severity != "minor":
            log["attributes"]["cost"] = round(rng.triangular(35, 1_900, 140), 2)
        if rng.random() < stops:
            log |= {"down_from": at - timedelta(minutes=rng.randrange(0, 20, 5)), "down_to": log["ended_at"]}
        return log

    def _routine(self, machine: Machine, person: Person, at: datetime) -> dict[str, Any]:
        rng = self.rng
        fit = [routine for routine in ROUTINES if "axis" in machine.faults or routine.type not in PRECISE]
        routine = rng.choices(fit, [routine.weight for routine in fit])[0]
        sector = SECTORS[machine.values["sector"]]
        amount, deviation = rng.randint(1, sector.most), rng.randint(1, 9) / 100
        log = self._log(machine, person, at, routine.minutes * rng.uniform(0.5, 2))
        text = spoken((routine.english, routine.french), person.language)[0]
        if "{project}" in text:
            log["project"] = log["project"] or rng.choice(PROJECTS)
        [supply], [place] = spoken(sector.supply, person.language), spoken(sector.place, person.language)
        facts = {"amount": amount, "unit": sector.unit, "supply": supply, "place": place, "project": log["project"]}
        mm = str(deviation).replace(".", "," if person.language == "fr" else ".")
        log |= {"type": routine.type, "comment": text.format(**facts, mm=mm)}
        if routine.type == "reload":
            log["attributes"] = {"amount": amount, "unit": sector.unit}
        elif routine.type == "calibration":
            log["attributes"] = {"deviation_mm": deviation}
        elif routine.type == "maintenance":
            log |= {"down_from": at, "down_to": log["ended_at"], "attributes": {"cost": rng.randint(20, 400)}}
        return log

    def _settle(self, log: dict[str, Any], person: Person) -> None:
        """Say how far it is: what would end after the years is under way, and a few others wait."""
        fresh = log["type"] in {"error", "maintenance"} and self.until - log["started_at"] < LATELY
        if log["ended_at"] > self.until or (fresh and self.rng.random() < 0.4):
            log |= {"status": self.rng.choice(("open", "in_progress")), "ended_at": None, "action": None}
        elif log["type"] == "maintenance" and self.rng.random() < 0.04:
            log |= {"status": "cancelled", "ended_at": None, "down_from": None, "down_to": None}
            log["comment"] = spoken(CANCELLED, person.language)[0]
        if log.get("down_to") and log["down_to"] > self.until:
            log["down_to"] = None
