#!/bin/sh
# The grid with GNU parallel: two runs at a time. Those that fail are tried twice; the table comes from what is there.
#   sh parallel.sh OUTPUT
output=${1:-out}
run="${MODALSCOPE:-npx modalscope} run square.ipynb $output --grid grid.yaml"
last=$($run --list | grep -c '"index"')
seq 0 $((last - 1)) | parallel --jobs 2 --retries 2 --joblog "$output.log" "$run --only {} --no-progress-bar"
$run --gather
