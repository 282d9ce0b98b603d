"""Sample texts in English and French: faults with their causes and repairs, and routine work."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Routine(NamedTuple):
    """Routine work: how often it is done, how many minutes it takes, and its texts."""

    type: str
    weight: int
    minutes: int
    english: str
    french: str


class Sector(NamedTuple):
    """Texts about the machines of a sector: their supplies, with the largest amount and its unit, and a dirty place."""

    unit: str
    most: int
    supply: tuple[str, str]
    place: tuple[str, str]


def in_language(texts: Sequence[T], language: str) -> Sequence[T]:
    """Return the texts of one language: the first half is English, the second half is French."""
    half = len(texts) // 2
    return texts[:half] if language == "en" else texts[half:]


# Symptom, cause, repair. The placeholders `{axis}`, `{n}` and `{alarm}` have constant values per machine.
FAULTS = {
    "spindle": (
        ("Spindle overheating, alarm {alarm}.", "Front bearing worn", "Replaced the bearing, ran it in for 30 min"),
        ("Spindle too hot after one hour of roughing.", "Chiller filter blocked", "Cleaned the filter, refilled"),
        ("Échauffement de la broche, alarme {alarm}.", "Roulement avant usé", "Roulement remplacé, rodage 30 min"),
        ("Broche trop chaude après une heure.", "Filtre du groupe froid colmaté", "Filtre nettoyé, niveau complété"),
    ),
    "tools": (
        ("Tool changer stuck at station {n}.", "Chips on the clamping sensor", "Cleaned the sensor, homed it"),
        ("Tool change stopped, alarm {alarm}.", "Gripper finger bent", "New finger, checked the alignment"),
        ("Changeur d'outils bloqué au poste {n}.", "Copeaux sur le capteur de serrage", "Capteur nettoyé"),
        ("Changement d'outil arrêté, alarme {alarm}.", "Doigt de pince tordu", "Doigt remplacé, alignement contrôlé"),
    ),
    "coolant": (
        ("Coolant leak under the machine.", "Pump seal worn out", "New seal fitted, tank refilled"),
        ("No coolant at the tool, puddle under the tank.", "Hose clamp loose", "Tightened the clamp, mopped up"),
        ("Fuite de liquide de coupe sous la machine.", "Joint de pompe usé", "Joint remplacé, bac rempli"),
        ("Plus d'arrosage à l'outil, flaque sous le bac.", "Collier desserré", "Collier resserré et sol nettoyé"),
    ),
    "axis": (
        ("Following error on axis {axis}, alarm {alarm}.", "Ball screw coupling loose", "Tightened the coupling"),
        ("Parts out of tolerance, axis {axis} drifts.", "Dirty glass scale", "Cleaned the scale, took a new reference"),
        ("Écart de poursuite axe {axis}, alarme {alarm}.", "Accouplement de vis desserré", "Accouplement resserré"),
        ("Pièces hors cote, l'axe {axis} dérive.", "Règle encrassée", "Règle nettoyée, prise d'origine refaite"),
    ),
    "chips": (
        ("Chip conveyor jammed.", "Long chips wound round the shaft", "Cleared the chips, reset the motor protection"),
        ("Chip conveyor stopped, motor tripped.", "Bar end fallen in", "Removed the bar end, straightened two slats"),
        ("Convoyeur à copeaux bloqué.", "Copeaux longs enroulés sur l'arbre", "Copeaux retirés, disjoncteur réarmé"),
        ("Convoyeur à copeaux arrêté.", "Chute de barre tombée dedans", "Chute retirée, deux lattes redressées"),
    ),
    "door": (
        (
            "Door switch not seen, cycle will not start.",
            "Switch key bent",
            "Straightened the key, tested the interlock",
        ),
        ("Door open message with the door shut.", "Switch cable broken", "Replaced the cable, tested the interlock"),
        ("Contact de porte non vu, pas de départ cycle.", "Languette tordue", "Languette redressée, verrou testé"),
        ("Message porte ouverte alors qu'elle est fermée.", "Câble du contact coupé", "Câble remplacé, verrou testé"),
    ),
    "power": (
        (
            "Main breaker trips at start-up.",
            "Earth fault in the motor cable",
            "Replaced the cable, measured insulation",
        ),
        ("Everything dead, main breaker open.", "Terminal loose in the cabinet", "Tightened all terminals"),
        ("Le disjoncteur général saute au démarrage.", "Défaut d'isolement du câble moteur", "Câble remplacé"),
        ("Plus de tension, disjoncteur général ouvert.", "Borne desserrée dans l'armoire", "Bornes resserrées"),
    ),
    "blade": (
        ("Blade snapped in the cut.", "Blade guide worn", "New blade and new carbide guides"),
        ("Saw blade broken on the first cut.", "Tension too low", "New blade, tension checked with the gauge"),
        ("Lame cassée en pleine coupe.", "Guide-lame usé", "Lame neuve et guides carbure remplacés"),
        ("Lame de scie cassée à la première coupe.", "Tension trop faible", "Lame neuve, tension contrôlée"),
    ),
    "hose": (
        (
            "Hydraulic hose burst, oil on the floor.",
            "Hose rubbing on the frame",
            "New hose with a sleeve, oil topped up",
        ),
        ("Oil spraying from a hydraulic hose.", "Hose past its age", "Replaced both hoses, bled the circuit"),
        ("Flexible hydraulique éclaté, huile au sol.", "Frottement contre le bâti", "Flexible remplacé avec gaine"),
        ("Projection d'huile, flexible percé.", "Flexible trop vieux", "Deux flexibles remplacés, circuit purgé"),
    ),
    "pressure": (
        ("Hydraulic pressure drops under load.", "Relief valve dirty", "Cleaned the valve, set the pressure again"),
        ("Not enough force, pressure falls to half.", "Suction filter blocked", "Replaced the filter, checked the oil"),
        ("Chute de pression hydraulique en charge.", "Limiteur encrassé", "Limiteur nettoyé, pression réglée"),
        ("Manque de force, la pression tombe de moitié.", "Crépine bouchée", "Crépine remplacée et huile contrôlée"),
    ),
    "curtain": (
        ("Light curtain cuts the cycle for no reason.", "Lens dirty", "Cleaned and aligned it, tested the stop"),
        ("Stops mid-cycle, light curtain fault.", "Connector of the receiver oxidised", "Replaced the connector"),
        ("La barrière immatérielle coupe sans raison.", "Optique sale", "Nettoyée et alignée, arrêt testé"),
        ("Arrêt en cycle, défaut barrière immatérielle.", "Connecteur oxydé", "Connecteur remplacé, arrêt testé"),
    ),
    "nozzle": (
        ("Nozzle clogged, print lost.", "Damp filament", "Cold pull, new nozzle, spool put in the dryer"),
        ("Under-extrusion, then nothing comes out.", "Hot end full of old material", "Stripped it, new tube"),
        ("Buse bouchée, impression perdue.", "Filament humide", "Buse remplacée, bobine mise à l'étuve"),
        ("Sous-extrusion, puis plus rien ne sort.", "Vieux plastique dans la tête", "Tête démontée, tube remplacé"),
    ),
    "bed": (
        (
            "First layer does not stick, corner {n} lifts.",
            "Bed out of level",
            "Levelled the bed, wiped with alcohol",
        ),
        ("Print warped, corner {n} came off.", "Heater cable broken", "Resoldered the cable"),
        ("La première couche ne colle pas, coin {n}.", "Plateau mal réglé", "Plateau mis de niveau et nettoyé"),
        ("Pièce gondolée, coin {n} décollé.", "Câble de chauffe coupé", "Câble ressoudé, collier ajouté"),
    ),
    "wire": (
        ("Wire feed irregular, arc unstable.", "Liner worn and full of swarf", "Replaced the liner and the rollers"),
        ("Wire stuck in the contact tip.", "Contact tip burnt", "New contact tip, burn-back time reduced"),
        ("Dévidage du fil irrégulier, arc instable.", "Gaine usée et encrassée", "Gaine et galets remplacés"),
        ("Fil collé dans le tube contact.", "Tube contact brûlé", "Tube neuf, temps de remontée d'arc réduit"),
    ),
    "leak": (
        ("Air leak, it runs without a pause.", "Coupling cracked on line {n}", "Replaced the coupling"),
        ("Network below 6 bar, air leak heard.", "Condensate drain stuck open", "Cleaned the drain, new float"),
        ("Fuite d'air, tourne sans arrêt.", "Raccord fendu sur la ligne {n}", "Raccord remplacé"),
        ("Réseau sous 6 bars, fuite d'air audible.", "Purgeur resté ouvert", "Purgeur nettoyé, flotteur remplacé"),
    ),
    "battery": (
        ("Battery flat in the middle of the shift.", "Two cells low on water", "Topped up, equalising charge"),
        ("Will not hold its charge, 20 % by noon.", "Charger plug burnt", "Replaced the plug and its cable"),
        ("Batterie à plat en milieu de poste.", "Deux éléments sans eau", "Mise à niveau, charge d'égalisation"),
        ("Ne tient pas la charge, 20 % à midi.", "Prise du chargeur brûlée", "Prise et câble remplacés"),
    ),
}
ROUTINES = (
    Routine("cleaning", 8, 20, "Cleaned {place}.", "Nettoyage {place}."),
    Routine("cleaning", 6, 30, "Weekly cleaning, floor swept.", "Nettoyage hebdomadaire, sol balayé."),
    Routine("inspection", 9, 15, "Round: levels and guards fine.", "Ronde : niveaux et carters bons."),
    Routine("inspection", 5, 20, "Checked, nothing to report.", "Contrôle, rien à signaler."),
    Routine("inspection", 1, 20, "Slight play, to be watched.", "Léger jeu, à surveiller."),
    Routine("reload", 15, 10, "Added {amount} {unit} of {supply}.", "Appoint {supply}, {amount} {unit}."),
    Routine("maintenance", 8, 90, "Planned service: filters and oil.", "Entretien prévu : filtres et huile."),
    Routine("maintenance", 5, 60, "Greased as planned.", "Graissage selon le plan d'entretien."),
    Routine("setting", 6, 30, "Program changed for {project}.", "Nouveau programme pour {project}."),
    Routine("setting", 4, 15, "Zero point corrected by {mm} mm.", "Origine corrigée de {mm} mm."),
    Routine("calibration", 3, 80, "Geometry test, worst deviation {mm} mm.", "Contrôle géométrique, écart {mm} mm."),
    Routine("info", 3, 5, "Reserved for {project} until Friday.", "Réservée pour {project} jusqu'à vendredi."),
    Routine("info", 2, 5, "Unusual noise at start, soon gone.", "Bruit anormal au démarrage, vite parti."),
    Routine("safety", 1, 25, "Emergency stops tested, all work.", "Arrêts d'urgence testés, tous bons."),
)
SECTORS = {
    "Usinage": Sector("L", 40, ("coolant", "de lubrifiant"), ("the chip tray", "du bac à copeaux")),
    "Tôlerie": Sector("L", 20, ("hydraulic oil", "d'huile hydraulique"), ("the table", "de la table")),
    "Welding": Sector("kg", 18, ("welding wire", "de fil à souder"), ("the torch", "de la torche")),
    "Additive lab": Sector("kg", 4, ("filament", "de filament"), ("the build plate", "du plateau")),
    "Énergies": Sector("L", 8, ("compressor oil", "d'huile de compresseur"), ("the cooler", "du radiateur")),
    "Yard": Sector("L", 6, ("distilled water", "d'eau déminéralisée"), ("the forks", "des fourches")),
}
AWAITED = ("Machine stopped, spare part ordered", "Machine arrêtée, pièce commandée")
CANCELLED = ("Cancelled, needed for production.", "Annulé, machine réquisitionnée pour la production.")
