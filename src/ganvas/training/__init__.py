"""The training of a run: update rules, state, the loop, the run folder."""
