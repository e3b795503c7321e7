# shellcheck shell=bash
# What cq_image and cq_container_run share; sourced by them, for bash 3.2 or newer.
# shellcheck disable=SC2034 # what is set here is used there

cq_me=${0##*/}
cq_host=$(uname -n) # HOSTNAME may have come with the job from another host

# Exit statuses; docs/job-tools.md.
CQ_FAILED=1
CQ_USAGE=2
CQ_NO_RUNTIME=127

cq_say() { printf '%s: %s\n' "$cq_me" "$*" >&2; }

cq_fail() {
    local status=$1
    shift
    cq_say "$@"
    exit "$status"
}

# A value for a message: quoted, short, without the query of a URL, which may hold a token.
cq_shown() {
    local text=${1%%\?*}
    printf '%q' "${text:0:200}"
}

# What a runtime of this name runs: "sif" files, or "oci" images that it keeps itself.
cq_know_runtime() {
    cq_name=$1
    case $1 in
    apptainer | singularity) cq_kind=sif ;;
    podman | docker) cq_kind=oci ;;
    *) return 1 ;;
    esac
}

# Sets cq_runtime to the command's path, cq_name to its name and cq_kind to what it runs.
cq_find_runtime() {
    local name
    if [ -n "${CLOUDQ_CONTAINER_RUNTIME:-}" ]; then
        cq_find_chosen_runtime "$CLOUDQ_CONTAINER_RUNTIME"
        return
    fi
    for name in apptainer singularity podman docker; do
        if cq_runtime=$(type -P "$name"); then
            cq_know_runtime "$name"
            return
        fi
    done
    cq_fail "$CQ_NO_RUNTIME" "no container runtime on $cq_host: none of apptainer, singularity," \
        "podman and docker is on PATH. Load the module that brings one before, or set" \
        "CLOUDQ_CONTAINER_RUNTIME to its path."
}

cq_find_chosen_runtime() {
    if ! cq_know_runtime "${1##*/}"; then
        cq_fail "$CQ_USAGE" "CLOUDQ_CONTAINER_RUNTIME is $(cq_shown "$1"): it must be apptainer, singularity," \
            "podman or docker, or a path that ends so."
    fi
    if ! cq_runtime=$(type -P "$1"); then
        cq_fail "$CQ_NO_RUNTIME" "no container runtime on $cq_host: CLOUDQ_CONTAINER_RUNTIME is" \
            "$(cq_shown "$1"), which is no command here. Load the module that brings it before, or name another."
    fi
}

# Sets cq_scheme and cq_rest. What passes can be nothing but a URL to any runtime.
cq_check_url() {
    local LC_ALL=C
    case $1 in
    docker://* | library://* | oras://* | https://* | shub://*) ;;
    *://*)
        cq_fail "$CQ_USAGE" "$(cq_shown "$1"): images come from docker://, library://, oras://, https:// and" \
            "shub:// only."
        ;;
    *) cq_fail "$CQ_USAGE" "$(cq_shown "$1") is no URL of an image: it needs a scheme, such as docker://." ;;
    esac
    cq_scheme=${1%%://*}
    cq_rest=${1#*://}
    case $cq_rest in
    "" | [!A-Za-z0-9]* | *[!A-Za-z0-9._/:@%+?=\&~,-]*)
        cq_fail "$CQ_USAGE" "$(cq_shown "$1") is no URL of an image: after $cq_scheme:// comes a letter or digit," \
            "then letters, digits and ._/:@%+?=&~,- only."
        ;;
    */*)
        case ${cq_rest%%/*} in
        *@*)
            cq_fail "$CQ_USAGE" "the URL of the image at ${cq_rest#*@} holds a user name or password: log in" \
                "with the runtime's own command instead."
            ;;
        esac
        ;;
    esac
}

# docker:// is all that podman and docker understand, and they want it without the scheme.
cq_check_oci_url() {
    if [ "$cq_scheme" != docker ]; then
        cq_fail "$CQ_USAGE" "$cq_name runs images of docker:// only, not of $cq_scheme://: name another image, or" \
            "run the job where there is apptainer or singularity."
    fi
}
