#!/bin/bash
# Write the numbers from 1 to the first argument.
seq "$1" >numbers.txt
