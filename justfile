# The environment, the package in editable mode, the pre-commit hooks.
install:
    pip install -e '.[dev]'
    pre-commit install

# What pre-commit runs.
check:
    ruff format --check .
    ruff check .
    mypy

# The fast tests; arguments go to pytest.
test *args:
    pytest -n auto {{args}}

test-slow *args:
    pytest -n auto -m slow {{args}}

test-gpu *args:
    pytest -m gpu {{args}}

# Web pages, in the system's Chromium.
test-browser *args:
    pytest -m browser {{args}}

# Each benchmark prints one table.
bench name *args:
    python benchmarks/{{name}}.py {{args}}

# Sheets, animations and pages of all pretrained generators and finished runs.
gallery *args:
    python benchmarks/reproduce.py gallery {{args}}

# A tiny run through every verb, on the processor, in a temporary folder.
smoke:
    #!/usr/bin/env bash
    set -euo pipefail
    folder=$(mktemp -d)
    ganvas train --epochs 4 --device cpu --outdir "$folder/run"
    ganvas sample "$folder/run" --grid "$folder/grid.png" --walk "$folder/walk.gif"
    ganvas evaluate "$folder/run" --metrics fd,prdc
    ganvas compare "$folder" --html "$folder/compare.html"
    ganvas sample cs231n-dcgan --grid "$folder/pretrained.png"
    ganvas export "$folder/run" --to hub --output "$folder/hub"
    ganvas data inspect digits --sheet "$folder/digits.png"
    ls "$folder"
