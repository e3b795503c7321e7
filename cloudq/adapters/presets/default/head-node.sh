#!/bin/bash
# The last step in making the head node: an agent of cloudq that runs, and keeps running, as the cluster's user.
#
# ParallelCluster runs this as root. Running it again ends the same: what is there already is kept. Whatever
# fails ends it with a message, and ParallelCluster calls the cluster failed. No key is ever an argument, a
# variable of a process, or a line of the log.
set -Eeuo pipefail
umask 022

user=ec2-user
service=cloudqd.service
unit=/etc/systemd/system/$service
acts_within_s=300
profile=cloudq # of ~/.aws/credentials, if the key is in a secret

say() { printf 'cloudq: %s\n' "$*" >&2; }
fail() {
    say "FAILED: $*"
    exit 1
}
trap 'say "FAILED in line $LINENO with status $?"' ERR

wheel='' system='' endpoint='' bucket='' prefix='' region='' secret='' aws_region='' cluster=''
for argument in "$@"; do
    value=${argument#*=}
    case $argument in
        --wheel=*) wheel=$value ;;
        --system=*) system=$value ;;
        --endpoint=*) endpoint=$value ;;
        --bucket=*) bucket=$value ;;
        --prefix=*) prefix=$value ;;
        --region=*) region=$value ;;
        --secret=*) secret=$value ;;
        --aws_region=*) aws_region=$value ;;
        --cluster=*) cluster=$value ;;
        *) fail "unknown argument ${argument%%=*}" ;;
    esac
done
[[ $wheel == s3://*.whl ]] || fail "--wheel=s3://….whl is missing"
for name in system bucket aws_region cluster; do
    [[ -n ${!name} ]] || fail "--$name=… is missing"
done
export AWS_DEFAULT_REGION=$aws_region

home=$(getent passwd "$user" | cut -d: -f6)
[[ -d $home ]] || fail "$user has no home directory"
venv=$home/cloudq-venv
config=$home/.cloudq/config.toml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

as_user() { (cd "$home" && runuser -u "$user" -- env HOME="$home" USER="$user" LOGNAME="$user" "$@"); }

install_python() {
    if ! python3.11 -c '' 2>/dev/null; then
        say "installing Python 3.11"
        dnf install -y -q python3.11 >&2
        hash -r
    fi
}

# Prints the file of a wheel that says what to install with it.
readonly read_requirements='
import sys, zipfile
name = "cloudq/adapters/presets/head-node-requirements.txt"
sys.stdout.write(zipfile.ZipFile(sys.argv[1]).read(name).decode())
'

# The directory is in the home directory because jobs on compute nodes copy with the agent's Python.
install_cloudq() {
    local file=$work/${wheel##*/} sum
    say "fetching $wheel"
    aws s3 cp --only-show-errors "$wheel" "$file"
    sum=$(sha256sum "$file" | cut -d' ' -f1)
    if [[ -x $venv/bin/cloudqd && $(cat "$venv/installed-wheel" 2>/dev/null) == "$sum" ]]; then
        say "${wheel##*/} is installed already"
        return
    fi
    say "installing ${wheel##*/} into $venv"
    as_user python3.11 -m venv --clear "$venv"
    # What cloudq needs is pinned by hash inside its wheel, so that an index cannot hand out anything else.
    as_user python3.11 -c "$read_requirements" "$file" >"$work/requirements.txt"
    local pip=("$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check)
    as_user "${pip[@]}" --require-hashes --only-binary=:all: -r "$work/requirements.txt"
    as_user "${pip[@]}" --no-deps --no-index "$file"
    as_user tee "$venv/installed-wheel" <<<"$sum" >/dev/null
}

# Reads the secret from its standard input and puts it into one section of the file, leaving others alone.
# (The text is Python's: nothing in it is for the shell.)
# shellcheck disable=SC2016
readonly write_credentials='
import configparser, json, os, pathlib, sys, tempfile
path, profile = pathlib.Path.home() / ".aws" / "credentials", sys.argv[1]
try:
    given = json.load(sys.stdin)
    keys = {name: given[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    if not all(isinstance(key, str) and key and key.isprintable() for key in keys.values()):
        raise ValueError
except (ValueError, KeyError, TypeError):
    sys.exit("cloudq: the secret is not the JSON text that cloudqaws makes")
path.parent.mkdir(mode=0o700, exist_ok=True)
file = configparser.RawConfigParser()
file.read(path)
file[profile] = keys
descriptor, new = tempfile.mkstemp(dir=path.parent)
with os.fdopen(descriptor, "w") as out:
    file.write(out)
os.replace(new, path)
'

fetch_credentials() {
    if [[ -z $secret ]]; then
        say "the role of this machine opens the job bucket"
        return
    fi
    say "reading the key of the job bucket from $secret"
    aws secretsmanager get-secret-value --secret-id "$secret" --query SecretString --output text |
        as_user python3.11 -c "$write_credentials" "$profile"
}

write_config() {
    if [[ -e $config ]]; then
        say "$config is there already and is kept"
        return
    fi
    local options=(--bucket "$bucket" --system "$system" --system_profile parallelcluster)
    [[ -z $endpoint ]] || options+=(--endpoint_url "$endpoint")
    [[ -z $prefix ]] || options+=(--prefix "$prefix")
    [[ -z $region ]] || options+=(--region "$region")
    [[ -z $secret ]] || options+=(--profile "$profile")
    say "writing $config and looking whether the job bucket opens"
    as_user "$venv/bin/cloudqcli" init --check "${options[@]}" >&2
}

# sbatch hands its own limits on to jobs, and a service has a lower one for locked memory than a login.
write_unit() {
    cat >"$work/$service" <<UNIT
[Unit]
Description=Agent of cloudq for $system
Wants=network-online.target
After=network-online.target slurmctld.service
StartLimitIntervalSec=0

[Service]
User=$user
WorkingDirectory=$home
Environment=PATH=/opt/slurm/bin:/usr/local/bin:/usr/bin:/bin
ExecStart=$venv/bin/cloudqd --daemon --quiet
Restart=always
RestartSec=10
KillMode=mixed
TimeoutStopSec=120
LimitMEMLOCK=infinity

[Install]
WantedBy=multi-user.target
UNIT
    install -m 0644 "$work/$service" "$unit"
}

# ParallelCluster has made the log group, with its own time in the name. Without it, the newest part of the
# agent's log is in the job bucket all the same, so nothing here is worth a failed cluster.
ship_log() {
    local ctl=/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl group
    # shellcheck disable=SC2016
    group=$(python3.11 -c '
import json
told = json.load(open("/etc/chef/dna.json"))["cluster"]
print(told["log_group_name"] if told["cw_logging_enabled"] == "true" else "")') || group=''
    if [[ -z $group || ! -x $ctl ]]; then
        say "the agent's log does not go to CloudWatch"
        return
    fi
    say "the agent's log goes to CloudWatch, group $group"
    mkdir -p /opt/cloudq
    cat >/opt/cloudq/cloudwatch-cloudqd.json <<JSON
{"logs": {"logs_collected": {"files": {"collect_list": [{
  "file_path": "$home/.cloudq/log/cloudqd.log",
  "log_group_name": "$group",
  "log_stream_name": "{hostname}.{instance_id}.cloudqd"}]}}}}
JSON
    "$ctl" -a append-config -m ec2 -s -c file:/opt/cloudq/cloudwatch-cloudqd.json >/dev/null 2>&1 ||
        say "CloudWatch's agent refused: the log does not go there"
}

start_agent() {
    say "starting $service"
    systemctl daemon-reload
    systemctl enable --quiet "$service"
    systemctl restart "$service"
    local said ends=$((SECONDS + acts_within_s))
    until said=$(as_user "$venv/bin/cloudqd" --status 2>&1); do
        if ((SECONDS >= ends)); then
            say "$said"
            as_user tail -n 20 "$home/.cloudq/log/cloudqd.log" >&2 || true
            fail "the agent does not act after $acts_within_s seconds"
        fi
        sleep 2
    done
    say "the agent of $system runs"
}

say "setting up the agent of $system on the head node of $cluster"
install_python
fetch_credentials
install_cloudq
write_config
write_unit
ship_log
start_agent
