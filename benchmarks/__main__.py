"""`make bench`: run the measurements, save the results, print them as a table; `--write` updates the README."""

import argparse
import os
import sys
import time

from benchmarks import options
from benchmarks.options import MeasurementError, Options
from benchmarks.reporting import results, tables
from benchmarks.sections import (
    aggregates,
    browser,
    exports,
    idle,
    imports,
    postgres,
    reads,
    reliability,
    services,
    statements,
    writes,
)

SECTIONS = {
    "reads": reads.measure,
    "statements": statements.measure,
    "aggregates": aggregates.measure,
    "reliability": reliability.measure,
    "writes": writes.measure,
    "imports": imports.measure,
    "exports": exports.measure,
    "idle": idle.measure,
    "browser": browser.measure,
    "postgres": postgres.measure,
    "services": services.measure,
}


# This section scrolls through ten thousand logs. In a quick run, it would take longer than all others together.
SLOW_SECTION = "browser"


def main() -> int:
    """Run the given sections, by default all (in a quick run all but the slow one); return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"any of {', '.join(SECTIONS)}")
    parser.add_argument("--write", action="store_true", help="do not measure; update the README from saved results")
    given = parser.parse_args()
    chosen = options.read(given.sections)
    if unknown := [name for name in chosen.only if name not in SECTIONS]:
        parser.error(f"unknown section {', '.join(unknown)}; choose from {', '.join(SECTIONS)}")
    if given.write:
        tables.write(results.publish(chosen))
        return 0
    load_average = os.getloadavg()[0]
    usual = [name for name in SECTIONS if not (chosen.is_quick_run and name == SLOW_SECTION)]
    failed = [name for name in chosen.only or usual if not _measure_section(name, chosen, load_average)]
    report = results.load(chosen)
    if report["sections"]:
        sys.stdout.write(f"{tables.environment(report)}\n\n{tables.table(report)}\n")
    return 1 if failed else 0


def _measure_section(name: str, chosen: Options, load_average: float) -> bool:
    """Measure one section and save its result; print the reason and return False if that is not possible."""
    start = time.perf_counter()
    sys.stderr.write(f"{name} ...\n")
    try:
        results.save(chosen, name, SECTIONS[name](chosen), load_average)
    except MeasurementError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return False
    sys.stderr.write(f"{name}: {time.perf_counter() - start:.0f} s\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
