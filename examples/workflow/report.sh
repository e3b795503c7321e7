#!/bin/bash
# Report the total for the year that is the first argument.
printf 'total of %s: %s\n' "$1" "$(cat total.txt)" >report.txt
