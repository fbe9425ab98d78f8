"""The latency table: rows of single items, the grid of widths, and how rows add up to networks."""
