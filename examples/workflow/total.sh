#!/bin/bash
# Add up the numbers.
awk '{ total += $1 } END { print total }' numbers.txt >total.txt
