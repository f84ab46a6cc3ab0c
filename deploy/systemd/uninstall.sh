#!/usr/bin/env bash
# Removes the services; settings and state stay unless --purge says otherwise. Safe to repeat.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: uninstall.sh [--purge] [--root FOLDER] [--dry-run]

  --purge        also remove settings, secrets, everything that was recorded, and the account
  --root FOLDER  remove files below this folder; stops nothing
  --dry-run      say what would be done, do nothing
HELP
}

root='' purge=no dry=no
while [ $# -gt 0 ]; do
    case $1 in
        --root)
            if [ $# -lt 2 ]; then echo "uninstall.sh: $1 needs a value" >&2; exit 2; fi
            root=${2%/}
            shift
            ;;
        --purge) purge=yes ;;
        --dry-run) dry=yes ;;
        -h | --help) usage; exit 0 ;;
        *) echo "uninstall.sh: $1 is no option; see --help" >&2; exit 2 ;;
    esac
    shift
done

run() {
    echo "+ $*"
    if [ "$dry" = no ]; then "$@"; fi
}

if [ "$dry" = no ] && [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "uninstall.sh: needs root; try --dry-run to see what it does" >&2
    exit 1
fi

units=(dbplanmon-status.service dbplanmon.service)
for unit in "${units[@]}"; do
    if [ -z "$root" ] && [ -e "/etc/systemd/system/$unit" ]; then run systemctl disable --now "$unit"; fi
    run rm -f "$root/etc/systemd/system/$unit"
done
if [ -z "$root" ]; then run systemctl daemon-reload; fi
run rm -rf "$root/opt/dbplanmon/venv"

if [ "$purge" = yes ]; then
    run rm -rf "$root/etc/dbplanmon" "$root/var/lib/dbplanmon" "$root/opt/dbplanmon"
    if [ -z "$root" ] && getent passwd dbplanmon >/dev/null; then run userdel dbplanmon; fi
else
    echo "kept: $root/etc/dbplanmon and $root/var/lib/dbplanmon"
fi
