"""Finds dead links in Markdown pages, with the heading anchors that GitHub generates."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

CODE_OR_COMMENT = re.compile(r"^(```|~~~).*?^\1\s*$|`[^`\n]*`|<!--.*?-->", re.MULTILINE | re.DOTALL)
# A Markdown link or image, or an HTML attribute. The text may contain brackets, and the address parentheses.
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+(?:\([^()\s]*\))?)\)|(?:src|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def links(text: str) -> Iterator[str]:
    """Yield the addresses of a page's links and pictures, except those in code and comments."""
    for found in LINK.finditer(CODE_OR_COMMENT.sub("", text)):
        yield found[1] or found[2]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings; a repeated heading gets a number."""
    seen: Counter[str] = Counter()
    slugs = set()
    for heading in HEADING.findall(re.sub(r"^```.*?^```\s*$", "", text, flags=re.MULTILINE | re.DOTALL)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        slugs.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return slugs


def dead_links(page: Path, root: Path) -> list[str]:
    """Return the links of a page to files outside the checkout, to missing files, and to missing headings."""
    dead = []
    for link in links(page.read_text()):
        if EXTERNAL.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        exists = target.exists() and target.is_relative_to(root)
        if not exists or (anchor and (target.suffix != ".md" or anchor not in anchors(target.read_text()))):
            dead.append(link)
    return dead
