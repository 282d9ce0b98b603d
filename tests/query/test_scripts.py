"""Search in every script: both engines find what the definition in the oracle finds."""

import random

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from conftest import serving
from machine_monitor.config import Settings
from query import oracle, samples

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.untraced]

# A comment, searches that find it, and searches that do not.
CASES = (
    (
        "主轴轴承异响更换",
        ["轴承", "轴", "主轴轴承", "异响更换", "主轴*", "主轴 更换"],
        ["承轴", "轴主", "轴异", '"主轴 更换"'],
    ),
    ("主轴,电机 PN42号", ["主轴电机", "电机", '"机 PN42"', "PN42号", "号", "pn*", "42"], ["电主", "机号", "P"]),
    ("バンク", ["バンク", "\uff8a\uff9e\uff9d\uff78", "ンク"], ["パンク", "ハンク", "ハ", "パ*"]),
    ("サーバー室", ["サーバー", "ーバ", "室"], ["サハー", "ザ"]),
    ("베어링을 교체했다", ["베어링", "어링", "교체", "베*"], ["버", "링교", "베링"]),
    ("เปลี่ยนแบริ่ง", ["แบริ่ง", "เปลี่ยน", "ลี่", "ล*"], ["แบริง", "ล", "ลี"]),
    ("ປ່ຽນ ភ្លើង ပြောင်း", ["ປ່ຽນ", "ភ្លើង", "ပြောင်း"], ["ປຽນ", "ភលង", "ပင"]),
    ("Мой подшипник, ёлка", ["мой", "елка", "ёлка", "ПОДШИП*"], ["мои", "мои*"]),
    ("हिन्दी में", ["हिन्दी", "हिन्*", "में"], ["हनद", "म", "हिन"]),
    ("Manœuvre d\u2019un bœuf, Łódź Ørsted", ["manoeuvre", "MANŒUVRE", "boeuf", "lodz", "orsted"], ["manuvre", "oeuf"]),
    ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zerowidth", "soft\u200bhyphen"], ["soft", "width"]),
    ("Moteur 5.5kW", ["kw", "5.5 kW", "5.5kW", "5kw", '"moteur 5 5 kw"', "5k*"], ["5.5kWh", "w", '"5 kw 5"', "kw*kw"]),
    ("panne error404page", ["404", "page", '"error 404 page"', '"panne error404page"', "40*"], ["error404", "04"]),
    ("XK7711234Z et PN-0042", ["7711234", "xk", "z", "XK77*", "PN-00*"], ["7711", "042", "PN0042"]),
    ("\u200b", ["-x"], ["\u200b", "*"]),
)
# Pieces of random comments, and of the searches for them.
PIECES = (
    *("轴", "承", "轴承", "主轴", "ハ", "ハ\u3099", "バ", "각", "가", "ก", "กี่", "น้ำ", "က", "ကို", "ខ្មែរ", "ລາວ", "あー"),
    *("pn", "42", "5kW", "kw", "a1b", "é", "œuf", "й", "и", "1", "मि", "म", "\u00ad", "\u0301", "٣", "๑๒", "🛠"),
    *(" ", " ", "-", ".", ", ", "·"),
)
RANDOM_LOGS = 150


def random_text(rng: random.Random) -> str:
    return "".join(rng.choices(PIECES, k=rng.randrange(1, 9)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scripts(seeded_url):
    """A client of logs with the texts of the cases, and with random ones in comment, cause and attributes."""
    rng = random.Random(11)
    items = [{"machine": "M", "type": "info", "comment": text} for text, _, _ in CASES]
    items += [
        {
            "machine": "M",
            "type": "info",
            "comment": random_text(rng),
            "cause": random_text(rng) if rng.random() < 0.3 else None,
            "attributes": {key: random_text(rng) for key in rng.sample(["b", "a"], rng.randrange(3))},
        }
        for _ in range(RANDOM_LOGS)
    ]
    async with serving(Settings(database_url=seeded_url)) as client:
        assert (await client.post("/machines", json={"name": "M"})).status_code == 201
        response = await client.post("/logs/bulk", json={"items": items})
        assert response.status_code == 200, response.text
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def logs(scripts):
    return await samples.collect(scripts, "logs")


async def test_each_script_is_found_by_its_words(scripts, logs):
    uuids = {log["comment"]: log["uuid"] for log in logs}
    wrong = []
    for text, found, missed in CASES:
        for q in (*found, *missed):
            hits = {log["uuid"] for log in await samples.collect(scripts, "logs", q=q)}
            if (uuids[text] in hits) != (q in found):
                wrong.append((text, q))
    assert wrong == []


@st.composite
def searches(draw, texts):
    """Draw a search term: its text (pieces, or part of a text), whether it is quoted, and whether it is a prefix."""
    text = draw(st.sampled_from(texts))
    start = draw(st.integers(0, len(text)))
    part = text[start : draw(st.integers(start, len(text)))]
    typed = draw(st.sampled_from([part, *draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3))]))
    return typed, draw(st.booleans()), draw(st.booleans())


def spell(term) -> tuple[str, bool]:
    """Return the spelling of a term, and whether it is a prefix."""
    typed, quoted, prefix = term
    if quoted or not typed or set(typed) & set(' "') or typed.startswith("-"):
        return f'"{typed}"', False
    return (f"{typed}*", oracle.ends_in_word(typed)) if prefix else (typed, False)


@pytest.mark.proof("searches in every script against a brute force in Python")
@given(data=st.data())
async def test_any_search_agrees_with_the_definition(scripts, logs, record_counts, data):
    texts = [text for log in logs for text in oracle.searched_texts(log, "logs")]
    terms = data.draw(st.lists(searches(texts), min_size=1, max_size=2))
    excluded = data.draw(st.booleans())
    spelled = [spell(term) for term in terms]
    typed = [(text, prefix) for (text, *_), (_, prefix) in zip(terms, spelled, strict=True) if oracle.words_of(text)]
    q = " ".join(f"{'-' * (excluded and not i)}{text}" for i, (text, _) in enumerate(spelled))
    hits = {log["uuid"] for log in await samples.collect(scripts, "logs", q=q)}
    negated = excluded and bool(oracle.words_of(terms[0][0]))
    expected = {
        log["uuid"]
        for log in logs
        if typed
        and all(
            oracle.contains_words(log, "logs", text, prefix=prefix) != (negated and not i)
            for i, (text, prefix) in enumerate(typed)
        )
    }
    assert hits == expected, q
    record_counts(1, differing=0)


@given(data=st.data())
async def test_parts_of_texts_agree_with_the_definition(scripts, logs, data):
    texts = [log["comment"] for log in logs]
    text = data.draw(st.sampled_from([*texts, *PIECES]))
    start = data.draw(st.integers(0, len(text)))
    part = text[start : data.draw(st.integers(start, len(text)))]
    operator = data.draw(st.sampled_from(["contains", "startswith", "endswith"]))
    found = {log["uuid"] for log in await samples.collect(scripts, "logs", **{f"comment__{operator}": part})}
    assert found == {log["uuid"] for log in logs if oracle.text_matches(log["comment"], operator, part)}


@given(data=st.data())
async def test_a_search_inside_words_agrees_with_the_definition(scripts, logs, data):
    texts = [text for log in logs for text in oracle.searched_texts(log, "logs")]
    parts = [st.sampled_from(texts).flatmap(_part_of), st.sampled_from([*PIECES, "M", "%", "_"])]
    typed = data.draw(st.lists(st.one_of(parts), min_size=1, max_size=2))
    found = {log["uuid"] for log in await samples.collect(scripts, "logs", q__contains=typed)}
    assert found == {
        log["uuid"]
        for log in logs
        if all(
            any(oracle.text_matches(text, "contains", part) for text in oracle.searched_texts(log, "logs"))
            for part in typed
        )
    }


def _part_of(text):
    return st.integers(0, len(text)).flatmap(
        lambda start: st.integers(start, len(text)).map(lambda end: text[start:end])
    )
