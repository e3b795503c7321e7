#!/bin/bash
#$ project: imaging
#$ resource: small
#$ n_resource: 1
#$ walltime: 10m
#$ container_img: docker://registry.example/first:1
#$ container_img: docker://registry.example/second:2

# The same file runs on every system, and prints the same there.
task=${ARY_TASK_ID-}
echo "task ${task:-none} of ${ARY_TASK_FIRST-}-${ARY_TASK_LAST-}:${ARY_TASK_STEPSIZE-}"

for image in "$CONTAINER_IMG0" "$CONTAINER_IMG1"; do
    if [ -f "$image" ]; then cq_container_run "$image" sh -c 'echo "inside $(cat /image)"; exit 3'; fi
    echo "the container ended with $?"
done
if ! [ -e /image ]; then echo "outside again"; fi

echo "$SYSTEM" >"system$task.txt"
if [ -n "$task" ]; then exit 0; fi

data=s3://cloudq-test/seed-tables
abci_cs_cp "$data/letter.txt" letter.txt || exit
abci_cs_cp "$data/folder" folder || exit
abci_cs_cp "$data/letter.txt" by-profile.txt "$CLOUDQ_STORE_ENDPOINT_URL" second || exit
cat letter.txt folder/one.txt folder/below/two.txt by-profile.txt
abci_cs_cp letter.txt "$data/$SYSTEM/letter.txt" || exit
abci_cs_cp folder "$data/$SYSTEM/folder" || exit
env >environment.txt
