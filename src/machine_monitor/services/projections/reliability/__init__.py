"""Reliability: the figures of machines (MTBF, MTTR, availability), and the Pareto analysis of logs.

request -> reading -> figures: a query string becomes a `ReliabilityQuery`, the database gives the facts about each
machine that it chooses, and Python computes the figures of each window and group.
"""
