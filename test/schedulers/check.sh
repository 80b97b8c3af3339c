#!/bin/bash
# The examples of grids by GNU parallel and Snakemake give the same table; the Kubernetes job keeps its schema.
# Needs parallel, and on the PATH snakemake and kubernetes-validate.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r "$root/examples/grids/." "$folder"
cd "$folder"
export MODALSCOPE="node $root/dist/kernels/cli.js"

sh parallel.sh parallel
snakemake --cores 2 --quiet --config output=snakemake
diff <(cut -d, -f1-3 parallel/summary.csv) <(cut -d, -f1-3 snakemake/summary.csv)
[ "$(grep -c completed parallel/summary.csv)" = 6 ]
kubernetes-validate --strict kubernetes.yaml
