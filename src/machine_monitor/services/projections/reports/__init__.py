"""The report of a period: its figures beside those of the period before, as a page or a workbook.

periods -> report -> html, workbook: a `Period` is compared with the one before it. The report is assembled from the
answers of `/reliability`, `/logs/pareto` and `/logs`, so its figures are theirs.
"""
