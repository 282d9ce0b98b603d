"""Links of Markdown pages: what each leads to, and the anchors of a page as GitHub makes them."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

CODE = re.compile(r"^(```|~~~).*?^\1\s*$|`[^`\n]*`|<!--.*?-->", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+(?:\([^()\s]*\))?)\)|(?:src|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
FOREIGN = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def links(text: str) -> Iterator[str]:
    """The addresses of a page's links and pictures, those in code left out."""
    for found in LINK.finditer(CODE.sub("", text)):
        yield found[1] or found[2]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(re.sub(r"^```.*?^```\s*$", "", text, flags=re.MULTILINE | re.DOTALL)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def dead_links(page: Path, root: Path) -> list[str]:
    """The links of a page that lead to no file of the checkout, or to no heading of it."""
    dead = []
    for link in links(page.read_text()):
        if FOREIGN.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and target.is_relative_to(root)
        if not is_there or (anchor and (target.suffix != ".md" or anchor not in anchors(target.read_text()))):
            dead.append(link)
    return dead
