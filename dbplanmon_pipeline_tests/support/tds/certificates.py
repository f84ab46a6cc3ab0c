"""Certificates for a test: an authority of its own, and a server's key and certificate."""

from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Certificates:
    """PEM files: `authority` for who trusts, `server` (key and certificate) for who serves."""

    authority: Path
    server: Path


def make_certificates(folder: Path, names: tuple[str, ...] = NAMES) -> Certificates:
    """Write an authority and a certificate it signed for `names` into `folder`."""
    authority = trustme.CA()
    made = Certificates(folder / "authority.pem", folder / "server.pem")
    authority.cert_pem.write_to_path(made.authority)
    authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(made.server)
    return made
