"""The live page: runs as they learn, and generators to play with, in a browser.

Run folders are read through `ganvas.rundir` alone; nothing here knows the training loop.
"""
