#!/bin/sh
# Secrets from files: NAME_FILE=/run/secrets/x becomes NAME, for the few names that programs read from variables only.
set -eu

for name in DAGSTER_POSTGRES_PASSWORD DBPLANMON_STORE_URL; do
    eval "file=\${${name}_FILE:-}"
    if [ -n "$file" ]; then
        if [ ! -r "$file" ]; then
            echo "entrypoint: ${name}_FILE names $file, which cannot be read" >&2
            exit 1
        fi
        value=$(cat "$file")
        export "$name=$value"
        unset "${name}_FILE"
    fi
done

# DAGSTER_HOME on PostgreSQL: the instance file is ours unless the folder has one.
if [ -n "${DAGSTER_POSTGRES_HOST:-}" ] && [ -n "${DAGSTER_HOME:-}" ] && [ ! -e "$DAGSTER_HOME/dagster.yaml" ]; then
    # Several containers may share the folder and start together: each writes its own file and moves it into place.
    mkdir -p "$DAGSTER_HOME"
    cp /opt/dbplanmon/dagster-postgres.yaml "$DAGSTER_HOME/.dagster.yaml.$$"
    mv "$DAGSTER_HOME/.dagster.yaml.$$" "$DAGSTER_HOME/dagster.yaml"
fi

exec "$@"
