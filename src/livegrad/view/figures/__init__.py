"""Figures of a report as plain plotly JSON: no plotly is imported, colours are filled in by the page."""
