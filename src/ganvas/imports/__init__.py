"""Weights that other programs have trained, taken into the nets of the recipes."""
