"""The texts of a report, in English and French, and how numbers and times are written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

# The figures in the order of the report, and how each is written.
FIGURES = {
    "down_time": "hours",
    "failure_time": "hours",
    "planned_time": "hours",
    "external_time": "hours",
    "failures": "count",
    "mtbf": "hours",
    "mttr": "hours",
    "availability": "share",
    "technical_availability": "share",
    "required_time": "hours",
    "operating_time": "hours",
    "open_stops": "count",
}
ENGLISH = {
    "title": "Stops and failures",
    "period": "Period",
    "before": "Period before",
    "difference": "Difference",
    "written": "Written",
    "machines_chosen": "Machines",
    "summary": "Summary",
    "machines": "Machines",
    "causes": "Causes",
    "open": "Open stops",
    "definitions": "Definitions",
    "figure": "Figure",
    "meaning": "Meaning",
    "machine": "Machine",
    "sector": "Sector",
    "type": "Type",
    "cause": "Cause",
    "no_cause": "(no cause)",
    "since": "Since",
    "lasts": "Hours until now",
    "hours": "Hours",
    "share": "Share",
    "cumulative": "Cumulative",
    "rest": "All others ({count})",
    "causes_by_downtime": "Causes by downtime",
    "causes_by_failures": "Causes by failures",
    "calm": "Machines without stops or failures in both periods: {count}",
    "none": "None.",
    "more": "Only the first {shown} of {count} are listed.",
    "truncated": "There are more machines than a report can list. Choose some by a filter.",
    "unfinished": "This period is not over yet: the one before is measured up to the same point.",
    "colon": ": ",
    "hour_unit": "h",
    "point_unit": "pt",
    "down_time": "Downtime",
    "failure_time": "Downtime by failures",
    "planned_time": "Planned downtime",
    "external_time": "Downtime by external causes",
    "failures": "Failures",
    "mtbf": "MTBF",
    "mttr": "MTTR",
    "availability": "Availability",
    "technical_availability": "Technical availability",
    "required_time": "Required time",
    "operating_time": "Operating time",
    "open_stops": "Open stops at the end of the period",
}
ENGLISH_DEFINITIONS = {
    "required_time": "The period from the machine's first sign of life (its entry, or its first log), less the time "
    "out of service.",
    "operating_time": "Required time - downtime.",
    "down_time": "The part of the required time in which the machine was stopped. Overlapping stops of one machine "
    "count once.",
    "failure_time": "The part of the downtime that failure stops cover.",
    "external_time": "The part of the downtime that external stops cover, and no failure stop.",
    "planned_time": "The rest of the downtime.",
    "failures": "Failure stops that begin in the period, one if they overlap or touch; and failures without a stop.",
    "mtbf": "Mean time between failures: operating time / failures. Empty without failures.",
    "mttr": "Mean time to repair: the mean length of the failure stops that end in the period. Empty if none ends.",
    "availability": "Operating time / required time.",
    "technical_availability": "Operating time / (operating time + downtime by failures).",
    "open_stops": "Logs whose stop is not over at the end of the period. The list of open stops is as of now.",
    "difference": "This period less the period before. Shares differ in percentage points (pt).",
    "causes": "Causes that differ only in case, accents and blanks are one. Stops count within the period, failures "
    "where their log starts.",
}
FRENCH = {
    "title": "Arrêts et pannes",
    "period": "Période",
    "before": "Période précédente",
    "difference": "Écart",
    "written": "Établi",
    "machines_chosen": "Machines",
    "summary": "Synthèse",
    "machines": "Machines",
    "causes": "Causes",
    "open": "Arrêts en cours",
    "definitions": "Définitions",
    "figure": "Indicateur",
    "meaning": "Signification",
    "machine": "Machine",
    "sector": "Secteur",
    "type": "Type",
    "cause": "Cause",
    "no_cause": "(sans cause)",
    "since": "Depuis",
    "lasts": "Heures à ce jour",
    "hours": "Heures",
    "share": "Part",
    "cumulative": "Cumul",
    "rest": "Toutes les autres ({count})",
    "causes_by_downtime": "Causes par temps d’arrêt",
    "causes_by_failures": "Causes par nombre de pannes",
    "calm": "Machines sans arrêt ni panne sur les deux périodes\u00a0: {count}",
    "none": "Aucun.",
    "more": "Seuls les {shown} premiers sur {count} sont listés.",
    "truncated": "Il y a plus de machines qu’un rapport ne peut en lister. Choisissez-en par un filtre.",
    "unfinished": "Cette période n’est pas terminée\u00a0: la précédente est mesurée jusqu’au même point.",
    "colon": "\u00a0: ",
    "hour_unit": "h",
    "point_unit": "pt",
    "down_time": "Temps d’arrêt",
    "failure_time": "Arrêt sur panne",
    "planned_time": "Arrêt planifié",
    "external_time": "Arrêt de cause externe",
    "failures": "Pannes",
    "mtbf": "MTBF",
    "mttr": "MTTR",
    "availability": "Disponibilité",
    "technical_availability": "Disponibilité technique",
    "required_time": "Temps requis",
    "operating_time": "Temps de fonctionnement",
    "open_stops": "Arrêts en cours à la fin de la période",
}
FRENCH_DEFINITIONS = {
    "required_time": "La période à partir du premier signe de vie de la machine (sa saisie ou sa première "
    "intervention), moins le temps hors service.",
    "operating_time": "Temps requis - temps d’arrêt.",
    "down_time": "La part du temps requis où la machine était à l’arrêt. Les arrêts d’une machine qui se chevauchent "
    "comptent une fois.",
    "failure_time": "La part du temps d’arrêt couverte par des arrêts sur panne.",
    "external_time": "La part du temps d’arrêt couverte par des arrêts externes, et par aucun arrêt sur panne.",
    "planned_time": "Le reste du temps d’arrêt.",
    "failures": "Les arrêts sur panne qui commencent dans la période, un seul s’ils se chevauchent ou se "
    "touchent\u00a0; et les pannes sans arrêt.",
    "mtbf": "Temps moyen entre pannes\u00a0: temps de fonctionnement / pannes. Vide sans panne.",
    "mttr": "Temps moyen de réparation\u00a0: la durée moyenne des arrêts sur panne qui finissent dans la période. "
    "Vide si aucun ne finit.",
    "availability": "Temps de fonctionnement / temps requis.",
    "technical_availability": "Temps de fonctionnement / (temps de fonctionnement + arrêt sur panne).",
    "open_stops": "Les interventions dont l’arrêt n’est pas fini à la fin de la période. La liste des arrêts en cours "
    "est celle de maintenant.",
    "difference": "Cette période moins la précédente. Les parts diffèrent en points (pt).",
    "causes": "Les causes qui ne diffèrent que par la casse, les accents et les espaces n’en font qu’une. Les arrêts "
    "comptent dans la période, les pannes au début de leur intervention.",
}
_THIN_SPACE, _NO_BREAK_SPACE, _MINUS = "\u202f", "\u00a0", "\u2212"


@dataclass(frozen=True)
class Language:
    """The texts and the number format of a language."""

    code: str
    texts: Mapping[str, str]
    definitions: Mapping[str, str]
    decimal: str
    thousands: str
    before_percent: str

    def number(self, value: float | None, decimals: int = 0, *, signed: bool = False) -> str:
        """Return a number as text; an en dash if there is none."""
        if value is None:
            return "\u2013"
        # Adding 0 turns a rounded -0.0 into 0.0.
        rounded = round(value, decimals) + 0
        text = f"{rounded:{'+' if signed and rounded else ''},.{decimals}f}"
        marks = {",": self.thousands, ".": self.decimal, "-": _MINUS}
        return "".join(marks.get(character, character) for character in text)

    def figure(self, kind: str, value: float | None) -> str:
        """Return a figure with its unit: `hours` are given in seconds, a `share` is 1 at most."""
        if value is None or kind == "count":
            return self.number(value)
        if kind == "hours":
            return f"{self.number(value / 3600, 1)}{_NO_BREAK_SPACE}{self.texts['hour_unit']}"
        return f"{self.number(value * 100, 1)}{self.before_percent}%"

    def change(self, kind: str, value: float | None) -> str:
        """Return a difference of two figures, with its sign."""
        if value is None or kind == "count":
            return self.number(value, signed=True)
        if kind == "hours":
            return f"{self.number(value / 3600, 1, signed=True)}{_NO_BREAK_SPACE}{self.texts['hour_unit']}"
        return f"{self.number(value * 100, 1, signed=True)}{_NO_BREAK_SPACE}{self.texts['point_unit']}"

    def moment(self, instant: datetime, zone: ZoneInfo) -> str:
        """Return a time to the minute, in the site's zone."""
        form = "%d/%m/%Y %H:%M" if self.code == "fr" else "%Y-%m-%d %H:%M"
        return instant.astimezone(zone).strftime(form)


ENGLISH_LANGUAGE = Language("en", ENGLISH, ENGLISH_DEFINITIONS, ".", ",", "")
FRENCH_LANGUAGE = Language("fr", FRENCH, FRENCH_DEFINITIONS, ",", _THIN_SPACE, _NO_BREAK_SPACE)
LANGUAGES = {language.code: language for language in (ENGLISH_LANGUAGE, FRENCH_LANGUAGE)}


def difference(now: float | None, before: float | None) -> float | None:
    """Return what changed; None if either figure is missing."""
    return None if now is None or before is None else now - before
