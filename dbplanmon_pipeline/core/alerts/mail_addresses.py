"""Mail addresses as people write them: checked, and with the domain in the letters that mail servers know."""

import re
from email.headerregistry import Address

_LONGEST = 320
_ADDRESS = r'(?P<user>[^\s@,;:<>()\[\]"\\]{1,64})@(?P<domain>[^\s@,;:<>()\[\]"\\]{1,253})'
_BARE = re.compile(_ADDRESS)
_NAMED = re.compile(rf"(?P<name>[^<>]*)<{_ADDRESS}>")


def mail_address(text: str) -> Address:
    """Read `dba@example.net` or `Team DBA <dba@example.net>`; a domain with umlauts and the like is put into ASCII.

    Raises:
        ValueError: no such text.
    """
    match = _NAMED.fullmatch(text) or _BARE.fullmatch(text)
    if match is None or len(text) > _LONGEST or not text.isprintable():
        raise ValueError("expected a mail address such as dba@example.net or Team DBA <dba@example.net>")
    try:
        domain = match["domain"].encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("expected a mail address with a domain that can exist") from None
    name = match.groupdict().get("name") or ""
    return Address(display_name=name.strip().strip('"'), username=match["user"], domain=domain)
