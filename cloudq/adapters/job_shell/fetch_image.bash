cq_fetch_image() {
    cq_image "$2" >"$cq_record.image.$$"
    cq_code=$?
    cq_name=
    IFS= read -r cq_name <"$cq_record.image.$$"
    rm -f "$cq_record.image.$$"
    if [ "$cq_code" -eq 0 ] && [ -z "$cq_name" ]; then cq_code=1; fi
    if [ "$cq_code" -ne 0 ]; then
        cq_say "no image $2 for CONTAINER_IMG$1: the script was not started"
        cq_end "$cq_code"
    fi
    export "CONTAINER_IMG$1=$cq_name"
}
