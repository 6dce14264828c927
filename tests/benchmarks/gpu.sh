#!/usr/bin/env bash
# On a machine with a CUDA device: the tests that need one, then every benchmark, in ten minutes.
#
#     tests/benchmarks/gpu.sh RESULTS [WHEELS [tests|benchmarks]]
#
# RESULTS is the folder for cuda.jsonl and the logs. WHEELS is a folder of wheels of packages that
# the machine lacks and cannot download (skorch, spikingjelly, loguru, snntorch); they are installed
# into a temporary folder, without their dependencies; "" installs nothing. The last argument runs
# one part only. PYTHON names the interpreter, python3 by default; its torch must see the device.
set -uo pipefail

[ $# -ge 1 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$1"
results=$(cd "$1" && pwd)
wheels=${2:+$(cd "$2" && pwd)}
part=${3:-all}
python=${PYTHON:-python3}
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1

if [ -n "$wheels" ]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" "$wheels"/*.whl || exit 2
    PYTHONPATH=$PWD:$site
fi

"$python" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name())' || exit 2
status=0
if [ "$part" != benchmarks ]; then
    # Not those about the package's text, which want tools that such a machine need not have.
    "$python" -m pytest -m gpu --ignore-glob='*test_house*' \
        -p no:cacheprovider tests 2>&1 | tee "$results/gpu_tests.log" || status=1
fi
if [ "$part" != tests ]; then
    "$python" -m tests.benchmarks.all --device cuda --save "$results" \
        2> >(tee "$results/gpu_benchmarks.log" >&2) || status=1
fi
exit $status
