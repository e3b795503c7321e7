#!/bin/bash
# The same without --each-line, --output and --fetch, for comparison: ./sweep.before.sh SYSTEM [STEP]
set -e
ids=()
for x in $(seq "${2:-0.02}" "${2:-0.02}" 1); do
    sed "s/\$1/$x/g" score.sh >"job.$x.sh"
    ids+=("$(cloudqcli submit --script "job.$x.sh" --submit_to "$1" | sed -E 's/^Job \(([0-9a-f]{8})\) .*/\1/')")
done
for id in "${ids[@]}"; do
    while :; do
        case $(cloudqcli stat --id "$id" | sed -n 's/^state  *//p') in
        DONE) break ;;
        ERROR | TIMEOUT | DELETED) exit 1 ;;
        esac
        sleep 1
    done
    cloudqcli stageout --id "$id" >/dev/null
    mv "$id"/output/score.*.txt .
    rm -r "$id"
done
sort -g score.*.txt | head -n 1
