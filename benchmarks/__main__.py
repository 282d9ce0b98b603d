"""`make bench`: measure, print the table, keep the numbers; `--write` puts them into the README."""

import argparse
import os
import sys
import time

from benchmarks import options
from benchmarks.options import Options, Refused
from benchmarks.reporting import results, tables
from benchmarks.sections import aggregates, browser, exports, idle, imports, postgres, reads, statements, writes

SECTIONS = {
    "reads": reads.measure,
    "statements": statements.measure,
    "aggregates": aggregates.measure,
    "writes": writes.measure,
    "imports": imports.measure,
    "exports": exports.measure,
    "idle": idle.measure,
    "browser": browser.measure,
    "postgres": postgres.measure,
}


# It scrolls through ten thousand logs, which takes longer than all else at a glance.
SLOW = "browser"


def main() -> int:
    """Run the sections that were named, all if none was; 1 if one could not be measured."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"any of {', '.join(SECTIONS)}")
    parser.add_argument("--write", action="store_true", help="measure nothing; write the README from what was kept")
    given = parser.parse_args()
    chosen = options.read(given.sections)
    if unknown := [name for name in chosen.only if name not in SECTIONS]:
        parser.error(f"there is no section {', '.join(unknown)}: there are {', '.join(SECTIONS)}")
    if given.write:
        tables.write(results.show(chosen))
        return 0
    busy = os.getloadavg()[0]
    usual = [name for name in SECTIONS if not (chosen.glance and name == SLOW)]
    refused = [name for name in chosen.only or usual if not _measured(name, chosen, busy)]
    known = results.load(chosen)
    if known["sections"]:
        sys.stdout.write(f"{tables.about(known)}\n\n{tables.table(known)}\n")
    return 1 if refused else 0


def _measured(name: str, chosen: Options, busy: float) -> bool:
    """Measure one section and keep what it found; say why not if it cannot be."""
    start = time.perf_counter()
    sys.stderr.write(f"{name} ...\n")
    try:
        results.keep(chosen, name, SECTIONS[name](chosen), busy)
    except Refused as error:
        sys.stderr.write(f"{name}: {error}\n")
        return False
    sys.stderr.write(f"{name}: {time.perf_counter() - start:.0f} s\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
