"""The test oracles cover everything that the product declares, so that a new operator or field is also tested."""

import re

import pytest

from api.access import site, test_roles
from machine_monitor.database import kinds
from machine_monitor.models import LOGS, RESOURCES
from machine_monitor.models.fields import ROLE, SEVERITY
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.grouping import groupable_fields
from machine_monitor.query.language.operators import OPERATORS
from machine_monitor.services.access.permissions import Role, Scope
from machine_monitor.services.tabular.exports import FORMATS
from query import oracle, test_brute_force
from query.summaries import brute_force, test_stats

KINDS = {
    kinds.TEXT: test_brute_force.TEXTUAL,
    kinds.TIME: test_brute_force.ORDERED,
    kinds.BOOLEAN: test_brute_force.EXACT,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_brute_force_tries_every_operator(kind):
    operators = {name for name, operator in OPERATORS.items() if operator.applies_to(kind, folded=kind is kinds.TEXT)}
    assert set(KINDS[kind]) == operators


def test_brute_force_covers_every_metric_field_and_unit():
    assert tuple(LOGS.summary.metrics) == test_stats.METRICS
    names = [re.sub(r"(attributes)[.].*", r"\1.<key>", name) for name in brute_force.FACETS]
    assert sorted(names) == sorted(groupable_fields(LOGS))
    assert set(brute_force.FORMATS) == set(UNITS)


def test_the_oracle_covers_every_searched_field_and_rank():
    # The samples have no child rows; `tests/api/files` searches the names of attachments.
    searched = {
        resource.name: {name for name in resource.searched if "." not in name}
        for resource in RESOURCES
        if resource.name in oracle.SEARCHED
    }
    assert {name: set(fields) for name, fields in oracle.SEARCHED.items()} == searched
    assert {"severity": SEVERITY.choices, "role": ROLE.choices} == oracle.RANKS


def test_every_format_role_and_scope_is_covered():
    assert set(test_roles.FORMATS) == set(FORMATS)
    assert [name.upper() for name in site.ROLES] == [role.name for role in Role]
    assert [name.upper() for name in site.SCOPES] == [scope.name for scope in Scope]
