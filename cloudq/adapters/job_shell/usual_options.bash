# A line of the site such as set -e must not end the job shell before it has recorded how the script ended.
set +efu
unset IFS
