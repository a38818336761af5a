#!/usr/bin/env bash
# Everything that is to be done on a CUDA machine, in slices of under nine minutes.
#
#     benchmarks/gpu.sh [--folder DIR] [--data DIR] [--wheels DIR] [--results DIR] [--dry] [all]
#     benchmarks/gpu.sh collect DIR
#
# Each call does the next slice and says what comes after it; `all` does slices until none is left.
# It needs this repository, the data files (--data, or $GANVAS_DATA), a Python whose PyTorch knows
# CUDA ($PYTHON, by default python3) and no network: where a dependency is missing, an environment
# is made in the folder from the wheels that `collect` has downloaded elsewhere.
#
# The slices: the tests marked gpu; the training speed of every recipe with and without captured
# steps; genzoo-cifar10 and firstgan-dcgan-alphabet at full length; all other runs; their numbers;
# the report. Runs are captured if the tests passed. A slice that is interrupted goes on from the
# last checkpoint. --results has a copy of all that matters after each slice, also what another
# machine needs to go on with: give it there as --results too.
#
# --dry goes through every slice on the processor, in a few minutes, with tests that skip themselves
# and one short run.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=runs/gpu data=${GANVAS_DATA:-} wheels='' results='' dry='' all='' collect=''
while [ $# -gt 0 ]; do
  case $1 in
    --folder) folder=$2; shift ;;
    --data) data=$2; shift ;;
    --wheels) wheels=$2; shift ;;
    --results) results=$2; shift ;;
    --dry) dry=yes ;;
    all) all=yes ;;
    collect) collect=$2; shift ;;
    *) echo "gpu.sh: found '$1'; allowed: --folder, --data, --wheels, --results, --dry, all, collect" >&2; exit 2 ;;
  esac
  shift
done
python=${PYTHON:-python3}
export PYTHONPATH=$PWD/src PYTHONUNBUFFERED=1
[ -z "$data" ] || export GANVAS_DATA=$data

# All dependencies but torch, which the machine has, and what builds and tests need.
dependencies() {
  "$python" - <<'PYTHON'
import re, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))
needs = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["test"]
needs += project["build-system"]["requires"] + ["editables"]
print(*(need for need in needs if not re.match(r"(torch|ganvas)\b", need)), sep="\n")
PYTHON
}

if [ -n "$collect" ]; then
  dependencies | "$python" -m pip download --only-binary :all: --dest "$collect" -r /dev/stdin
  exit
fi

mkdir -p "$folder"
if [ -n "$results" ] && [ -d "$results" ] && [ ! -e "$folder/begun" ]; then
  cp -R "$results/." "$folder/" # from another machine
fi
touch "$folder/begun"

# The environment
if ! "$python" -c 'import ganvas, pytest, pytest_timeout' 2>"$folder/import.txt"; then
  if [ ! -e "$folder/env/ready" ]; then
    [ -n "$wheels" ] || { echo "gpu.sh: $(tail -1 "$folder/import.txt"); give --wheels" >&2; exit 2; }
    "$python" -m venv "$folder/env"
    # the machine's PyTorch, wherever its Python keeps it, and what else lies beside it
    "$python" -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])' \
      > "$(echo "$folder"/env/lib/python*/site-packages)/machine.pth"
    pip=("$folder/env/bin/python" -m pip install --quiet --no-index --find-links "$wheels")
    dependencies | "${pip[@]}" -r /dev/stdin
    "${pip[@]}" --no-build-isolation --no-deps -e .
    touch "$folder/env/ready"
  fi
  python=$folder/env/bin/python
fi
rm -f "$folder/import.txt"

if [ -n "$dry" ]; then
  device=cpu minutes=1 evaluating=0.02 seconds=3 only=(--only cs231n-lsgan-seed0)
  echo "a dry run on the processor: nothing here says anything of a GPU"
else
  device=cuda minutes=7 evaluating=5 seconds=12 only=()
  "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
    { echo "gpu.sh: PyTorch finds no CUDA device; --dry goes through it on the processor" >&2; exit 1; }
fi
reproduce=("$python" benchmarks/reproduce.py)
runs=(--folder "$folder/runs")

captured() { # whether the tests passed, on a GPU
  [ "$device" = cuda ] && [ "$(cat "$folder/tests.status")" = 0 ]
}

train() { # train RUNS: goes on with these, or with all; 75 if they are not done
  local settings=()
  captured && settings=(--set train.cuda_graphs=true)
  "${reproduce[@]}" run "${runs[@]}" --device "$device" --minutes "$minutes" --nice 0 \
    --threads "${THREADS:-4}" ${settings[@]+"${settings[@]}"} ${1:+--only "$1"}
}

slice() { # slice NAME: one of the names below; 75 if there is more of it to do
  case $1 in
    tests)
      local status=0 files
      mapfile -t files < <(grep -rl --include 'test_*.py' 'mark\.gpu' tests)
      timeout 500 "$python" -m pytest -m gpu -s -q "${files[@]}" > "$folder/tests.txt" 2>&1 ||
        status=$?
      echo "$status" > "$folder/tests.status"
      tail -3 "$folder/tests.txt"
      ;;
    speed)
      "${reproduce[@]}" speed "${runs[@]}" --device "$device" --minutes "$minutes" \
        --seconds "$seconds" ${only[@]+"${only[@]}"} | tee "$folder/speed.md"
      return "${PIPESTATUS[0]}"
      ;;
    cifar10) [ -n "$dry" ] || train genzoo-cifar10 ;;
    alphabet) [ -n "$dry" ] || train firstgan-dcgan-alphabet ;;
    rest) train ${only[1]+"${only[1]}"} ;;
    numbers)
      OMP_NUM_THREADS=${THREADS:-4} "${reproduce[@]}" evaluate "${runs[@]}" --nice 0 \
        --minutes "$evaluating" ${only[@]+"${only[@]}"}
      ;;
    report)
      "${reproduce[@]}" report "${runs[@]}" --output "$folder/reproduction.md"
      "${reproduce[@]}" keep "${runs[@]}" --into "$folder/kept" --limit-mb 200
      "${reproduce[@]}" status "${runs[@]}"
      ;;
  esac
}

copy_results() { # all but the environment, TensorBoard's files and checkpoints nobody goes on from
  [ -n "$results" ] || return 0
  mkdir -p "$results"
  rm -rf "$results"/runs/*/checkpoints
  local needless
  needless=$(
    "${reproduce[@]}" status "${runs[@]}" | awk '$2 == "finished" { print "./runs/" $1 "/checkpoints" }'
    cd "$folder"
    for checkpoints in ./runs/*/checkpoints; do
      [ ! -d "$checkpoints" ] || find "$checkpoints" -name 'step-*' -type d | sort | sed '$d'
    done
  )
  tar -C "$folder" --exclude ./env --exclude 'events.out.*' \
    --exclude-from <(printf '%s\n' "${needless:-none}") -cf - . | tar -C "$results" -xf -
}

while true; do
  next=''
  for name in tests speed cifar10 alphabet rest numbers report; do
    if [ ! -e "$folder/done.$name" ]; then
      next=$name
      break
    fi
  done
  if [ -z "$next" ]; then
    echo "gpu.sh: all is done, in $folder"
    exit 0
  fi
  echo "gpu.sh: $next"
  status=0
  slice "$next" || status=$?
  if [ "$status" = 0 ] || { [ "$status" = 75 ] && [ -n "$dry" ]; }; then
    touch "$folder/done.$next"
  fi
  copy_results
  if [ "$status" != 0 ] && [ "$status" != 75 ]; then
    echo "gpu.sh: $next failed with status $status; the same command tries it again" >&2
    exit "$status"
  fi
  if [ -z "$all" ]; then
    echo "gpu.sh: this slice is over; the same command does the next one"
    exit 0
  fi
done
