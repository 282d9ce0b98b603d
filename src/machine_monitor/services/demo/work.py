"""Generate the logs of the sample plant, day by day."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from machine_monitor.services.demo.plant import PEOPLE, Machine, Person
from machine_monitor.services.demo.texts import AWAITED, CANCELLED, FAULTS, ROUTINES, SECTORS, in_language

PERIOD = timedelta(days=3 * 365)
RECENT = timedelta(days=14)
WEEKDAY_WEIGHTS = (1.1, 1.0, 1.0, 1.0, 0.9, 0.3, 0.05)
HOUR_WEIGHTS = (1, 1, 1, 1, 1, 2, 9, 12, 13, 12, 11, 8, 6, 9, 10, 9, 8, 7, 6, 5, 4, 3, 1, 1)
# Faults that are usually not minor.
SEVERITIES = dict.fromkeys(("spindle", "tools", "axis", "power", "pressure"), "major") | {"hose": "critical"}
# Minutes of work: minimum, maximum and usual; then the probability that the machine is stopped meanwhile.
EFFORT = {"minor": (5, 75, 20, 0.35), "major": (30, 420, 90, 0.9), "critical": (120, 2_880, 400, 1)}
# Faults that come from outside the machine: its stops are external.
EXTERNAL_FAULTS = frozenset({"power", "pressure"})
TEMPERATURES = {"spindle": (68, 96), "bed": (31, 48)}
PRECISE = ("setting", "calibration")
PROJECTS = ("Mistral", "Heron", "Caténaire", "Blackthorn", "Tramontane", "Skylark", "Belvédère", "Ironbridge")
AUTHORS = [person for person in PEOPLE if person.role != "viewer"]


@dataclass
class LogGenerator:
    """Generates logs in order of time. A stopped machine gets no other logs until it runs again."""

    rng: Random
    machines: list[Machine]
    until: datetime
    free_at: dict[str, datetime] = field(default_factory=dict)

    def generate(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield logs, ordered by `started_at`."""
        to_stop = min(len(self.machines) // 12, 3)
        for at in self._starts(count):
            person, failed = self.rng.choice(AUTHORS), self.rng.random() < 0.27
            machine = self._machine(at, failed=failed)
            log = self._fault(machine, person, at) if failed else self._routine(machine, person, at)
            if failed and to_stop and self.until - at < RECENT:
                to_stop -= 1
                log |= {
                    "severity": "critical",
                    "status": "in_progress",
                    "action": in_language(AWAITED, person.language)[0],
                }
                log |= {"ended_at": None, "down_from": at, "down_to": None}
            else:
                self._set_status(log, person)
            is_stopped = log.get("down_from") and not log["down_to"]
            self.free_at[log["machine"]] = self.until if is_stopped else log.get("down_to") or at
            yield log

    def _starts(self, count: int) -> list[datetime]:
        """Return the start times of the logs, weighted by weekday and hour of the plant's local time."""
        midnight = datetime.combine(self.until, time(), self.until.tzinfo)
        days = [midnight - timedelta(i) for i in range(PERIOD.days)]
        weights = list(accumulate(WEEKDAY_WEIGHTS[day.weekday()] for day in days))
        found: list[datetime] = []
        while len(found) < count:
            [day], [hour] = self.rng.choices(days, cum_weights=weights), self.rng.choices(range(24), HOUR_WEIGHTS)
            at = day.replace(hour=hour, minute=self.rng.randrange(60)).astimezone(UTC)
            if at < self.until - timedelta(minutes=5):
                found.append(at)
        return sorted(found)

    def _machine(self, at: datetime, *, failed: bool) -> Machine:
        # Machines out of service have no logs in the last quarter of the period.
        is_late = at > self.until - PERIOD / 4
        candidates = [machine for machine in self.machines if not is_late or machine.values["in_service"] is not False]
        free = [machine for machine in candidates if self.free_at.get(machine.values["name"], at) <= at] or candidates
        return self.rng.choices(free, [machine.proneness ** (1 if failed else 0.25) for machine in free])[0]

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
        texts = in_language(FAULTS[fault], person.language)
        symptom, (_, cause, action) = rng.choice(texts)[0], rng.choices(texts, (5, 2))[0]
        severity = rng.choices((SEVERITIES.get(fault, "minor"), "minor", "major"), (7, 2, 1))[0]
        *minutes, stops = EFFORT[severity]
        log = self._log(machine, person, at, rng.triangular(*minutes))
        log |= {
            "type": "error",
            "severity": severity,
            "comment": symptom.format(**machine.placeholders),
            "action": action,
        }
        if rng.random() < 0.88:
            log["cause"] = cause.format(**machine.placeholders)
        if fault in TEMPERATURES:
            log["attributes"]["temp"] = rng.randint(*TEMPERATURES[fault])
        if "spindle" in machine.faults:
            log["attributes"]["spindle_hours"] = machine.hours + (at - self.until + PERIOD).days * 9
        if severity != "minor":
            log["attributes"]["cost"] = round(rng.triangular(35, 1_900, 140), 2)
        if rng.random() < stops:
            log |= {"down_from": at - timedelta(minutes=rng.randrange(0, 20, 5)), "down_to": log["ended_at"]}
            if fault in EXTERNAL_FAULTS:
                log["down_kind"] = "external"
        return log

    def _routine(self, machine: Machine, person: Person, at: datetime) -> dict[str, Any]:
        rng = self.rng
        fit = [routine for routine in ROUTINES if "axis" in machine.faults or routine.type not in PRECISE]
        routine = rng.choices(fit, [routine.weight for routine in fit])[0]
        sector = SECTORS[machine.values["sector"]]
        amount, deviation = rng.randint(1, sector.most), rng.randint(1, 9) / 100
        log = self._log(machine, person, at, routine.minutes * rng.uniform(0.5, 2))
        text = in_language((routine.english, routine.french), person.language)[0]
        if "{project}" in text:
            log["project"] = log["project"] or rng.choice(PROJECTS)
        [supply], [place] = in_language(sector.supply, person.language), in_language(sector.place, person.language)
        values = {"amount": amount, "unit": sector.unit, "supply": supply, "place": place, "project": log["project"]}
        mm = str(deviation).replace(".", "," if person.language == "fr" else ".")
        log |= {"type": routine.type, "comment": text.format(**values, mm=mm)}
        if routine.type == "reload":
            log["attributes"] = {"amount": amount, "unit": sector.unit}
        elif routine.type == "calibration":
            log["attributes"] = {"deviation_mm": deviation}
        elif routine.type == "maintenance":
            log |= {"down_from": at, "down_to": log["ended_at"], "attributes": {"cost": rng.randint(20, 400)}}
            log["down_kind"] = "planned"
        return log

    def _set_status(self, log: dict[str, Any], person: Person) -> None:
        """Set the status: work that would end after `until` is in progress, and a few other logs are not done."""
        fresh = log["type"] in {"error", "maintenance"} and self.until - log["started_at"] < RECENT
        if log["ended_at"] > self.until or (fresh and self.rng.random() < 0.4):
            log |= {"status": self.rng.choice(("open", "in_progress")), "ended_at": None, "action": None}
        elif log["type"] == "maintenance" and self.rng.random() < 0.04:
            log |= {"status": "cancelled", "ended_at": None, "down_from": None, "down_to": None}
            log["down_kind"] = None
            log["comment"] = in_language(CANCELLED, person.language)[0]
        if log.get("down_to") and log["down_to"] > self.until:
            log["down_to"] = None
