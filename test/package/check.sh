#!/usr/bin/env bash
# The package as its users get it: packed, installed into an empty folder (where this repository's overrides and .npmrc do
# not count), its kernel installed, and a notebook there run by the runner and, where JUPYTER names a Jupyter's
# bin folder, by nbconvert. Dependencies' install scripts do not run here, as newer npm has it; `npm ci` runs them.
set -euo pipefail
cd "$(dirname "$0")/../.."
jupyter=${JUPYTER:+$(cd "$JUPYTER" && pwd)}
folder=$(mktemp -d "${TMPDIR:-/tmp}/modalscope package XXXXXX")
trap 'rm -rf "$folder"' EXIT

npm pack --silent --pack-destination "$folder" >/dev/null
mkdir "$folder/project" && cd "$folder/project"
npm install --silent --no-audit --no-fund --ignore-scripts "$folder"/modalscope-*.tgz

cat > first.ipynb <<'NOTEBOOK'
{
  "cells": [
    {
      "cell_type": "code", "id": "parameters", "metadata": { "tags": ["parameters"] }, "outputs": [], "execution_count": null,
      "source": "const text: string = \"What is 9 plus 5?\\n\";"
    },
    {
      "cell_type": "code", "id": "run", "metadata": {}, "outputs": [], "execution_count": null,
      "source": "import { loadModel, heatmap, show } from \"modalscope\";\nimport { wilson } from \"modalscope/analysis\";\nimport { truncation } from \"modalscope/methods\";\nimport { loadMaths } from \"modalscope/tasks\";\nimport { facets } from \"modalscope/plot\";\nimport { loadClaims } from \"modalscope/studies\";\nimport { openOnnx } from \"modalscope/onnx\";\nimport { readNotebook } from \"modalscope/runner\";\nimport { learningBackend } from \"modalscope/tfjs\";\nconst model = await loadModel(\"maths-zh-en\");\nconst [{ text: said }] = await model.generate(text, { maxNewTokens: 12 });\nshow(facets([heatmap([[1, 2], [3, 4]])]));\nif (wilson(1, 2).estimate !== 0.5 || typeof truncation !== \"function\" || loadMaths(\"maths-zh-en\").length === 0 || loadClaims(\"gap-phase1\").claims.length === 0) throw new Error(\"a subpath computes something else\");\nconsole.log([openOnnx, readNotebook, learningBackend].map((f) => typeof f).join());\nconsole.log(said.trim());\nawait model.close();"
    }
  ],
  "metadata": { "kernelspec": { "name": "modalscope", "display_name": "TypeScript", "language": "typescript" } },
  "nbformat": 4, "nbformat_minor": 5
}
NOTEBOOK
export MODALSCOPE_CACHE="$folder/cache"
npx --no-install modalscope run first.ipynb ran.ipynb
grep -q 'The answer is 14' ran.ipynb
grep -q 'function,function,function' ran.ipynb
npx --no-install modalscope doctor
# What is optional is not installed, and said to be so.
test ! -e node_modules/@aws-sdk
if npx --no-install modalscope run s3://bucket/in.ipynb - 2> said.txt; then exit 1; fi
grep -q 'Install it beside modalscope: npm install @aws-sdk/client-s3' said.txt

# Tables of data frames: without danfo.js it is said how to get it, and what is said works.
cat > tables.ipynb <<'NOTEBOOK'
{
  "cells": [
    {
      "cell_type": "code", "id": "table", "metadata": {}, "outputs": [], "execution_count": null,
      "source": "import { DataFrame } from \"danfojs-node\";\nimport { show, table } from \"modalscope\";\nconst frame = new DataFrame([{ name: \"<a>\", share: 1 / 3 }]);\nshow(table(frame), frame);"
    }
  ],
  "metadata": { "kernelspec": { "name": "modalscope", "display_name": "TypeScript", "language": "typescript" } },
  "nbformat": 4, "nbformat_minor": 5
}
NOTEBOOK
if npx --no-install modalscope run tables.ipynb tabled.ipynb 2> said.txt; then exit 1; fi
grep -q 'npm install danfojs-node, with two overrides' said.txt
bash -c "$(grep '^npm pkg set' node_modules/modalscope/environment.md)"
npm install --silent --no-audit --no-fund --ignore-scripts danfojs-node
npx --no-install modalscope run tables.ipynb tabled.ipynb
test "$(grep -c '&lt;a&gt;' tabled.ipynb)" = 2
# A copy in a folder that knows nothing of the project finds what the kernel's own package has beside it.
mkdir "$folder/elsewhere"
cp tables.ipynb "$folder/elsewhere/"
npx --no-install modalscope run "$folder/elsewhere/tables.ipynb" "$folder/elsewhere/tabled.ipynb"
test "$(grep -c '&lt;a&gt;' "$folder/elsewhere/tabled.ipynb")" = 2

npx --no-install modalscope kernel install --prefix "$folder/jupyter"
grep -q "$folder/project/node_modules/modalscope" "$folder/jupyter/share/jupyter/kernels/modalscope/kernel.json"
if [ -n "$jupyter" ]; then
  JUPYTER_PATH="$folder/jupyter/share/jupyter" "$jupyter/jupyter" nbconvert --to notebook --execute --output converted first.ipynb
  grep -q 'The answer is 14' converted.ipynb
fi
echo "The package works in $PWD."
