"""Runs side by side: read, grouped by their settings, tabulated, and drawn as one page."""
