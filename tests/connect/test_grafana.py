"""The files for Prometheus and Grafana name metrics and labels that exist."""

import json
import re
from pathlib import Path

from machine_monitor.api.serving import metrics

FOLDER = Path(__file__).parents[2] / "docs/connect/grafana"
SUFFIXES = ("_total", "_bucket", "_sum", "_count")


def labels_by_metric():
    """Return the labels of each metric, also under the names of its samples."""
    collectors = {*metrics.REGISTRY._names_to_collectors.values()}
    families = [(family, found) for found in collectors for family in found.describe()]
    return {
        f"{family.name}{suffix}": {*found._labelnames, "le"} for family, found in families for suffix in ("", *SUFFIXES)
    }


def test_every_metric_and_label_exists():
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += re.findall(r"expr: (.*)", (FOLDER / "alerts.yml").read_text())
    known = labels_by_metric()
    assert len(expressions) == 11
    for expression in expressions:
        for name in re.findall(r"machine_monitor_\w+", expression):
            assert name in known, expression
            grouped = re.findall(r"by \(([^)]*)\)", expression)
            used = {label for group in grouped for label in group.split(", ")} | {
                *re.findall(r"(\w+)(?:!=|=~|=)\"", expression)
            }
            assert used <= known[name], expression
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        shown = re.findall(r"{{(\w+)}}", panel["targets"][0]["legendFormat"])
        (name,) = {*re.findall(r"machine_monitor_\w+", panel["targets"][0]["expr"])}
        assert {*shown} <= known[name]
