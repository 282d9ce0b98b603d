"""Compare rows with what is stored, and decide what to do with each."""

from machine_monitor.services.imports.plan.planner import BatchPlan, Planner, Step

__all__ = ["BatchPlan", "Planner", "Step"]
