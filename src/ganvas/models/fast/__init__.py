"""Forms of layers that are faster on processors, and exact; the one switch that turns them on."""
