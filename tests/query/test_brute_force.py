"""Random filters and sort orders agree with the oracle."""

import csv
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query import oracle, samples

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.untraced]

ORDERED = ("", "ne", "lt", "lte", "gt", "gte", "in", "nin", "isnull")
TEXTUAL = (*ORDERED, "contains", "startswith", "endswith")
EXACT = ("", "ne", "in", "nin", "isnull")
TEXTS = ("", "E", "é", "huile", "1A", "%", "_", "P,1", 'P"1', "\\", "ABC", "z", "🛠", "\uffff", " ")
DAYS = ("2025-07-25", "2025-07-24", "2025-03-30", "2025-10-26", "2024-02-29", "1970-01-01", "2100-12-31")
ATTRIBUTE_OPERANDS = (
    "80",
    "-0",
    "8e1",
    '"80"',
    '"true"',
    "",
    '""',
    "abc",
    "É",
    "1e-999",
    "80.00000000000001",
    "0x50",
    "\\",
    "%",
    '"',
)
LOG_FIELDS = {
    **dict.fromkeys(
        [
            "machine",
            "type",
            "status",
            "down_kind",
            "comment",
            "cause",
            "project",
            "user",
            "machine.name",
            "machine.sector",
            "machine.model",
            "user.first_name",
            "user.trigram",
            "type.label",
        ],
        (TEXTUAL, TEXTS),
    ),
    **dict.fromkeys(("severity",), (ORDERED, oracle.RANKS["severity"])),
    **dict.fromkeys(("user.role",), (ORDERED, oracle.RANKS["role"])),
    **dict.fromkeys(("started_at", "ended_at", "down_from", "down_to"), (ORDERED, DAYS)),
    **dict.fromkeys(
        ("machine.year_of_acquisition", "machine.id", "version"), (ORDERED, (1900, 2015, 0, -1, 2**53 - 1))
    ),
    **dict.fromkeys(("machine.in_service", "type.counts_as_failure", "user.active"), (EXACT, (True, False))),
    "uuid": (EXACT, (samples.uuid_of(99),)),
    **dict.fromkeys(("attributes.temp", "attributes.note", "machine.attributes.temp"), (TEXTUAL, ATTRIBUTE_OPERANDS)),
}
# The words of fields that take no others.
CHOICES = {
    "status": ("open", "in_progress", "done", "cancelled"),
    "down_kind": ("failure", "planned", "external"),
}
MACHINE_FIELDS = {
    **dict.fromkeys(("name", "sector", "model", "comment"), (TEXTUAL, TEXTS)),
    "year_of_acquisition": (ORDERED, (1900, 2015, -1)),
    "in_service": (EXACT, (True, False)),
    **dict.fromkeys(("attributes.temp", "attributes.nothing"), (TEXTUAL, ATTRIBUTE_OPERANDS)),
}
LISTS = {
    "logs": (LOG_FIELDS, ("started_at",), {"expand": "machine,type,user"}),
    "machines": (MACHINE_FIELDS, ("name",), {}),
}
SEARCHES = ("huile", "moteur", "pn 0042", "use", "godet", "pelle", "abc", "e", "fuite d huile", "100", "a b", "nichts")


def spell(value) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def spell_list(values) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([spell(value) for value in values])
    return text.getvalue()


@st.composite
def conditions(draw, fields, records):
    name = draw(st.sampled_from(sorted(fields)))
    operators, extra_values = fields[name]
    operator = draw(st.sampled_from(operators))
    if operator == "isnull":
        chosen = [draw(st.booleans())]
        return name, operator, chosen, [spell(chosen[0])]
    present_values = [found for record in records if (found := oracle.json_value(record, name)) is not None]
    if "attributes." in name:
        # Conditions on attributes keep the text of the operand.
        present_values = [text for text in map(spell, present_values) if oracle.is_accepted(operator, text)]
    values = st.sampled_from([*present_values, *extra_values])
    if operator in ("contains", "startswith", "endswith"):
        whole = draw(values)
        if whole in itertools.chain(*CHOICES.values()) or draw(st.booleans()):
            start = draw(st.integers(0, len(whole)))
            whole = whole[start : draw(st.integers(start, len(whole)))]
        return name, operator, [whole], [whole]
    if name in CHOICES:
        values = st.sampled_from(CHOICES[name])
    several = operator in ("", "in", "nin")
    chosen = draw(st.lists(values, min_size=1, max_size=4 if several else 1))
    return name, operator, chosen, [spell_list(chosen)] if operator in ("in", "nin") else [spell(v) for v in chosen]


@st.composite
def searches(draw):
    terms = draw(st.lists(st.tuples(st.sampled_from(SEARCHES), st.booleans(), st.booleans()), max_size=2))
    spelled = [
        f"{'-' * excluded}{text}*" if prefix and " " not in text else f'{"-" * excluded}"{text}"'
        for text, prefix, excluded in terms
    ]
    return terms, " ".join(spelled)


def is_found_by(record, resource, term) -> bool:
    text, prefix, excluded = term
    return oracle.contains_words(record, resource, text, prefix=prefix and " " not in text) != excluded


@pytest.mark.proof("valid query strings against a brute force in Python")
@pytest.mark.parametrize("resource", LISTS)
@given(data=st.data())
async def test_any_filters_and_any_sort_agree_with_the_oracle(seeded, record_counts, resource, data):
    fields, tiebreakers, parameters_of_all = LISTS[resource]
    # The tiebreaker is the number for machines, and the order of writing for logs.
    written = await samples.collect(
        seeded, resource, **parameters_of_all, sort="id" if resource == "machines" else "started_at"
    )
    if resource == "logs":
        written = sorted(written, key=lambda record: record["uuid"])
    sortable = sorted(name for name in fields if "attributes." not in name)
    chosen = data.draw(st.lists(conditions(fields, written), max_size=3), label="conditions")
    terms, q = data.draw(searches(), label="q")
    names = data.draw(st.lists(st.sampled_from(sortable), min_size=1, max_size=3, unique=True), label="sort")
    sort = ",".join(data.draw(st.sampled_from(["", "-"])) + name for name in names)
    parameters = [
        (name + (operator and f"__{operator}"), text) for name, operator, _, spelled in chosen for text in spelled
    ]
    grouped = {}
    for name, operator, values, _ in chosen:
        # Repeated equality means any of the values; other repeated operators must all hold.
        if operator:
            grouped[len(grouped), name, operator] = values
        else:
            grouped.setdefault((0, name, ""), []).extend(values)
    expected = oracle.sort_records(
        [
            record
            for record in written
            if all(oracle.holds(record, name, operator, values) for (_, name, operator), values in grouped.items())
            and all(is_found_by(record, resource, term) for term in terms)
        ],
        sort,
        tiebreakers,
    )
    query = [*parameters, ("q", q), ("sort", sort), ("limit", "500"), *parameters_of_all.items()]
    answer = await seeded.get(f"/{resource}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["items"] == expected
    record_counts(1, differing=0)
