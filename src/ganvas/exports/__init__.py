"""Trained generators as files that work without ganvas, each checked against its source."""
