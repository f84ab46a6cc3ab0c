"""`make audit`: are there known weaknesses in the installed libraries? Asks osv.dev through pip-audit.

Exit codes: 0 none is known, 1 some are, 3 not audited. Arguments go on to pip-audit.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click

FOUND = 1
NOT_AUDITED = 3

AUDIT = (sys.executable, "-m", "pip_audit", "--strict", "--progress-spinner", "off", "-s", "osv", "-f", "json")


def main(arguments: Sequence[str]) -> int:
    """Run it and tell the outcome."""
    done = subprocess.run([*AUDIT, *arguments], capture_output=True, text=True, check=False)
    libraries = read_report(done.stdout)
    if libraries is None:
        click.echo(f"not audited: {reason(done.stderr)}", err=True)
        return NOT_AUDITED
    if skipped := [library for library in libraries if "skip_reason" in library]:
        click.echo(f"not audited: {skipped[0]['name']}: {skipped[0]['skip_reason']}", err=True)
        return NOT_AUDITED
    weak = [(library, weakness) for library in libraries for weakness in library["vulns"]]
    for library, weakness in weak:
        fixed = ", ".join(weakness["fix_versions"]) or "no version yet"
        click.echo(f"{library['name']} {library['version']}: {weakness['id']}, fixed in {fixed}")
    click.echo(f"{len(libraries)} libraries audited, {len(weak)} known weaknesses")
    return FOUND if weak else 0


def read_report(text: str) -> list[dict[str, Any]] | None:
    """Libraries of the report; None where there is none, or an empty one, which proves nothing."""
    try:
        found = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    return found or None


def reason(errors: str) -> str:
    """The last line pip-audit wrote."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else "pip-audit told nothing"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
