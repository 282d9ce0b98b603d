"""Words by which columns are recognised: headers and values in English, French and German, folded.

A header that equals an entry is a sure sign, one that has its words a likely one. Longer entries come before shorter.
"""

HEADERS: dict[str, tuple[str, ...]] = {
    "key": (
        "work order number", "work order", "order number", "ordre de travail", "bon de travail", "numero ot",
        "no ot", "n ot", "auftragsnummer", "auftrag", "ticket", "call id", "identifiant", "reference", "ident",
        "order", "id", "ot", "bt", "nummer", "number", "numero", "nr", "no", "n",
    ),
    "machine": (
        "equipment number", "machine name", "nom machine", "code machine", "asset id", "equipment",
        "equipement", "machine", "maschine", "anlage", "aggregat", "asset", "appareil", "engin", "installation",
        "elevator", "aufzug", "vehicle", "vehicule", "fahrzeug", "device", "gerat", "unit", "rig", "lift",
    ),
    "started_at": (
        "date debut", "date de debut", "debut", "start date", "started at", "started", "start", "startdatum",
        "beginn", "date intervention", "date panne", "timestamp", "zeitpunkt", "datum", "date", "opened",
        "created", "horodatage",
    ),
    "time": (
        "heure debut", "heure", "start time", "uhrzeit", "time", "hour", "zeit",
    ),
    "down_to": (
        "date fin", "date de fin", "fin", "end date", "ended at", "enddatum", "ende", "end", "closed",
        "resolved", "finish", "cloture", "returned to service",
    ),
    "duration": (
        "temps d arret", "duree arret", "duree", "downtime", "duration", "ausfallzeit", "stillstand", "dauer",
        "min delay", "delay", "arret",
    ),
    "type": (
        "type intervention", "type d intervention", "type de panne", "order type", "pm type", "pmtype",
        "storungsart", "nature", "categorie", "kategorie", "category", "incident", "kind", "type", "typ", "art",
    ),
    "cause": (
        "root cause", "cause", "ursache", "reason", "grund", "raison", "motif", "fm",
    ),
    "action": (
        "work done", "travaux", "action", "massnahme", "behebung", "reparation", "reparatur", "repair",
        "remedy", "solution",
    ),
    "comment": (
        "short text", "original shorttext", "originalshorttext", "description", "beschreibung", "commentaire",
        "comments", "comment", "kommentar", "bemerkung", "remarque", "observation", "probleme", "problem",
        "symptom", "libelle", "storung", "panne", "fault", "details", "notes", "texte", "text",
    ),
    "project": (
        "project", "projet", "projekt",
    ),
    "user": (
        "technicien", "technician", "techniker", "intervenant", "mechanic", "mitarbeiter", "bediener",
        "operateur", "operator", "employee", "auteur", "author", "user",
    ),
    "severity": (
        "severity", "gravite", "priority", "priorite", "prioritat", "criticite", "criticality", "dringlichkeit",
    ),
    "status": (
        "status", "statut", "etat", "state", "zustand",
    ),
}  # fmt: skip
MACHINE_HEADERS: dict[str, tuple[str, ...]] = {
    "name": (
        "name", "nom", "bezeichnung", *HEADERS["machine"],
    ),
    "sector": (
        "sector", "secteur", "bereich", "atelier", "standort", "station", "area", "location", "site", "zone",
        "werk",
    ),
    "manufacturer": (
        "manufacturer", "fabricant", "constructeur", "hersteller", "marque", "brand", "make",
    ),
    "model": (
        "model", "modele", "modell",
    ),
    "serial_number": (
        "serial number", "numero de serie", "seriennummer", "serial", "no de serie",
    ),
    "year_of_acquisition": (
        "year of acquisition", "annee d acquisition", "baujahr", "annee", "year", "jahr",
    ),
    "usage": (
        "usage", "utilisation", "verwendung", "purpose",
    ),
}  # fmt: skip
SEVERITIES = {
    "info": (
        "info",
        "low",
        "basse",
        "faible",
        "niedrig",
        "gering",
        "keine",
    ),
    "minor": (
        "minor",
        "mineure",
        "medium",
        "moyenne",
        "normale",
        "normal",
        "mittel",
        "leicht",
    ),
    "major": (
        "major",
        "majeure",
        "high",
        "haute",
        "elevee",
        "hoch",
        "schwer",
    ),
    "critical": (
        "critical",
        "critique",
        "urgent",
        "urgente",
        "kritisch",
        "dringend",
        "very high",
        "sehr hoch",
    ),
}
STATUSES = {
    "open": (
        "open", "ouvert", "ouverte", "offen", "new", "nouveau", "neu", "a faire", "pending", "en attente",
    ),
    "in_progress": (
        "in progress", "en cours", "in arbeit", "started", "assigned", "in bearbeitung",
    ),
    "done": (
        "done", "closed", "completed", "finished", "termine", "terminee", "clos", "close", "cloture",
        "erledigt", "abgeschlossen", "fertig", "resolved", "fait",
    ),
    "cancelled": (
        "cancelled", "canceled", "annule", "annulee", "storniert", "abgebrochen", "rejected",
    ),
}  # fmt: skip
