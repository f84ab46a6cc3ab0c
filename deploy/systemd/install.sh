#!/usr/bin/env bash
# Installs dbplanmon as two services of systemd; safe to repeat, and the way to a newer version.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: install.sh [--package SPEC] [--python PROGRAM] [--root FOLDER] [--start] [--dry-run]

  --package SPEC    what pip installs; default: the project this script lies in, with the extras
                    sqlserver and postgres-store. "none" leaves the virtual environment as it is.
  --python PROGRAM  Python 3.11 to 3.13 for the virtual environment; default: python3
  --root FOLDER     write files below this folder; makes no account and starts nothing
  --start           start the services at once; else they start with the machine
  --dry-run         say what would be done, do nothing
HELP
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
package="$here/../..[sqlserver,postgres-store]"
python=python3 root='' start=no dry=no

while [ $# -gt 0 ]; do
    case $1 in
        --package | --python | --root)
            if [ $# -lt 2 ]; then echo "install.sh: $1 needs a value" >&2; exit 2; fi
            case $1 in --package) package=$2 ;; --python) python=$2 ;; --root) root=${2%/} ;; esac
            shift
            ;;
        --start) start=yes ;;
        --dry-run) dry=yes ;;
        -h | --help) usage; exit 0 ;;
        *) echo "install.sh: $1 is no option; see --help" >&2; exit 2 ;;
    esac
    shift
done

run() {
    echo "+ $*"
    if [ "$dry" = no ]; then "$@"; fi
}

if [ "$dry" = no ] && [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "install.sh: needs root; try --dry-run to see what it does" >&2
    exit 1
fi

owner=(-o root -g dbplanmon)
if [ -n "$root" ]; then
    owner=()
elif ! getent passwd dbplanmon >/dev/null; then
    run useradd --system --user-group --home-dir /var/lib/dbplanmon --no-create-home --shell /usr/sbin/nologin dbplanmon
fi

if [ "$package" != none ]; then
    if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
        echo "install.sh: $python is not Python 3.11 to 3.13; name another with --python" >&2
        exit 1
    fi
    run install -d -m 0755 "$root/opt/dbplanmon"
    if [ ! -x "$root/opt/dbplanmon/venv/bin/python" ]; then
        run "$python" -m venv "$root/opt/dbplanmon/venv"
    fi
    run "$root/opt/dbplanmon/venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$package"
fi

run install -d -m 0750 "${owner[@]}" "$root/etc/dbplanmon" "$root/etc/dbplanmon/secrets"
if [ ! -e "$root/etc/dbplanmon/dbplanmon.yaml" ]; then
    run install -m 0640 "${owner[@]}" "$here/dbplanmon.yaml" "$root/etc/dbplanmon/dbplanmon.yaml"
fi

run install -d -m 0755 "$root/etc/systemd/system"
for unit in dbplanmon.service dbplanmon-status.service; do
    run install -m 0644 "$here/$unit" "$root/etc/systemd/system/$unit"
done

if [ -z "$root" ]; then
    run systemctl daemon-reload
    run systemctl enable dbplanmon.service dbplanmon-status.service
    if [ "$start" = yes ]; then run systemctl restart dbplanmon.service dbplanmon-status.service; fi
fi
echo "settings: $root/etc/dbplanmon/dbplanmon.yaml"
