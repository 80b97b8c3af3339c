#!/usr/bin/env bash
# Opens a graph of modalscope's in circuit-tracer's viewer, offline: check.sh [PYTHON with selenium]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
python=${1:-python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m pip download -q --no-deps -d "$work" circuit-tracer==0.5.0
"$python" -m zipfile -e "$work"/circuit_tracer-*.whl "$work/wheel"
npm install --silent --no-audit --no-fund --prefix "$work/npm" \
  d3@7.9.0 d3-collection@1.0.7 d3-jetpack@2.2.1 dagre@0.8.5 pako@2.1.0

# The scripts that index.html loads from other servers, in its order.
assets=$work/wheel/circuit_tracer/frontend/assets
modules=$work/npm/node_modules
mkdir "$assets/lib"
cp "$modules/d3/dist/d3.min.js" "$modules/d3-collection/dist/d3-collection.min.js" \
  "$modules/dagre/dist/dagre.min.js" "$modules/pako/dist/pako.min.js" "$here/shim.js" "$assets/lib"
cp "$modules/d3-jetpack/build/d3-jetpack.cjs" "$assets/lib/d3-jetpack.js"
scripts=$(printf '<script src="./lib/%s"></script>' \
  d3.min.js d3-collection.min.js d3-jetpack.js shim.js dagre.min.js pako.min.js)
sed -i -e "/<script src='https:/d" -e "s|^<link rel='stylesheet' href='./feature_examples/.*|&\n$scripts|" "$assets/index.html"

node "$root/dist/test/circuits/viewer/graph.js" "$work/graphs"
"$python" "$here/test_viewer.py" "$assets" "$work/graphs"
