"""How generated images are measured: one file a metric, from features to a number."""
