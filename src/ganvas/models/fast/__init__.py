"""Layers in exact forms that are faster, and the switch between the forms."""
