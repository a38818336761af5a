"""The parts of benchmarks/reproduce.py: the plan, the queue, the numbers, the report."""
