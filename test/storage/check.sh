#!/usr/bin/env bash
# Grids and large files by s3:// on moto's server, and their tables in pandas and DuckDB. Needs moto, pandas, pyarrow and duckdb.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
export AWS_ACCESS_KEY_ID=AKIATESTTESTTEST AWS_SECRET_ACCESS_KEY=secret-that-must-not-be-seen AWS_REGION=us-east-1
export AWS_ENDPOINT_URL_S3=http://127.0.0.1:5566 MODALSCOPE_CACHE="$folder/cache"
moto_server -H 127.0.0.1 -p 5566 >"$folder/moto.log" 2>&1 &
server=$!
trap 'kill $server; rm -rf "$folder"' EXIT
for _ in $(seq 120); do curl -s "$AWS_ENDPOINT_URL_S3" >/dev/null && break; sleep 0.5; done

node dist/test/storage/check.js "$folder"
python test/storage/test_tables.py "$folder"
if grep -rl "$AWS_SECRET_ACCESS_KEY" "$folder"; then echo "The secret was written there." >&2; exit 1; fi
