"""Secrets by reference: the settings name where a secret lies, and it is read only when it is needed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import environment

MASK = "********"
FORMS = "env:NAME, file:PATH or keyring:SERVICE/USER"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<user>[^@/?#]*@)?(?P<host>[A-Za-z0-9.\-:\[\]]*)(?P<path>/[^?#;@]*)?(?P<rest>.*)",
    re.DOTALL,
)
_WEB = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "postgres", "mssql", "mysql")
_SECRET_QUERY = re.compile(r"pass|pwd|token|secret|key|sig|auth|odbc_connect", re.IGNORECASE)
_LARGEST_FILE_BYTES = 64 * 1024


class SecretKind(StrEnum):
    """Where a secret lies; `open` is plain text that holds none."""

    ENV = "env"
    FILE = "file"
    KEYRING = "keyring"
    PLAIN = "plain"
    OPEN = "open"


@dataclass(frozen=True, slots=True, repr=False)
class SecretReference:
    """Where one secret lies.

    Attributes:
        kind: how to find it.
        locator: name of the variable, path of the file, SERVICE/USER, or the text itself.
    """

    kind: SecretKind
    locator: str

    @classmethod
    def parse(cls, text: str, folder: Path | None = None) -> "SecretReference":
        """Read `env:NAME`, `file:PATH` (relative to `folder`) or `keyring:SERVICE/USER`; anything else is plain.

        Raises:
            ValueError: the reference is incomplete; the message never holds the text.
        """
        if not text:
            raise ValueError(f"is empty; expected {FORMS}")
        scheme, _, locator = text.partition(":")
        match scheme:
            case "env":
                if not _VARIABLE.fullmatch(locator):
                    raise ValueError("expected the name of an environment variable after env:")
            case "file":
                if not locator.strip() or "\0" in locator:
                    raise ValueError("expected the path of a file after file:")
                locator = str((folder or Path()) / Path(locator.strip()).expanduser())
            case "keyring":
                if not all(locator.partition("/")[::2]):
                    raise ValueError("expected SERVICE/USER after keyring:")
            case _:
                return cls(SecretKind.PLAIN, text)
        return cls(SecretKind(scheme), locator)

    @property
    def is_plain(self) -> bool:
        """True where the settings hold the secret itself."""
        return self.kind is SecretKind.PLAIN

    def describe(self) -> str:
        """Where the secret lies, for people: never the secret."""
        if self.is_plain:
            return MASK
        if self.kind is SecretKind.OPEN:
            return mask_url(self.locator)
        return f"{self.kind}:{self.locator}"

    def resolve(self, environ: Mapping[str, str] | None = None) -> str:
        """Read the secret now.

        Raises:
            SettingsError: it is not there; says what to do.
        """
        match self.kind:
            case SecretKind.ENV:
                return self._from_environment(environment.variables(environ))
            case SecretKind.FILE:
                return _read_file(Path(self.locator))
            case SecretKind.KEYRING:
                return _read_keyring(*self.locator.split("/", 1))
            case _:
                return self.locator

    def _from_environment(self, environ: Mapping[str, str]) -> str:
        value = environ.get(self.locator, "")
        if not value:
            raise SettingsError(f"env:{self.locator}: the environment variable {self.locator} is not set; export it")
        return value

    def __repr__(self) -> str:
        return f"SecretReference({MASK})"

    def __str__(self) -> str:
        return MASK

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.describe()),
        )

    @classmethod
    def _validate(cls, value: Any, info: ValidationInfo) -> "SecretReference":
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"expected text: {FORMS}")  # noqa: TRY004 - pydantic collects ValueError only
        return cls.parse(value, (info.context or {}).get("folder"))


def has_credentials(url: str) -> bool:
    """True where a URL carries a user, a password or a token that can be told from its form."""
    scheme, _, rest = url.partition("://")
    _, _, query = rest.partition("?")
    return ("@" in rest and scheme.lower() != "sqlite") or bool(_SECRET_QUERY.search(query))


def mask_url(text: str) -> str:
    """A URL without user, password and query, with a path only where it names a database; any other text as a mask.

    An `@` behind the first `/` or `?` may belong to a password that was not escaped: then nothing but the scheme shows.
    """
    match = _URL.fullmatch(text)
    family = match["scheme"].lower().partition("+")[0] if match else ""
    if match is None or family not in (*_WEB, *_DATABASES):
        return MASK
    if "@" in match["rest"]:
        return f"{match['scheme']}://{MASK}"
    path, rest = match["path"], match["rest"]
    if family in _WEB:
        path, rest = ("/", path[1:] + rest) if path else ("", rest)
    user = f"{MASK}@" if match["user"] else ""
    return f"{match['scheme']}://{user}{match['host']}{path}{MASK if rest else ''}"


def refuse_plain(value: SecretReference, info: ValidationInfo) -> SecretReference:
    """Validator: in production a secret stands nowhere in clear text.

    Raises:
        ValueError: it does; the message never holds it.
    """
    if value.is_plain and (info.context or {}).get("environment") == "production":
        raise ValueError(f"is a plain secret, refused in production; expected {FORMS}")
    return value


def _require_url(value: SecretReference, info: ValidationInfo) -> SecretReference:
    if not value.is_plain:
        return value
    if not _URL.match(value.locator):
        raise ValueError(f"expected a URL, or {FORMS}")
    if has_credentials(value.locator):
        return refuse_plain(value, info)
    return replace(value, kind=SecretKind.OPEN)


def _read_file(path: Path) -> str:
    try:
        content = path.read_bytes()[: _LARGEST_FILE_BYTES + 1]
        text = content.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"file:{path}: cannot be read ({reason}); create it or mend its rights") from None
    except UnicodeDecodeError:
        raise SettingsError(f"file:{path}: is not UTF-8 text; save it again as UTF-8") from None
    if not text or len(content) > _LARGEST_FILE_BYTES:
        what = "is empty" if not text else "is larger than 64 KiB"
        raise SettingsError(f"file:{path}: {what}; it must hold the secret and nothing else")
    return text


def _read_keyring(service: str, user: str) -> str:
    name = f"keyring:{service}/{user}"
    try:
        import keyring  # noqa: PLC0415 - optional extra, wanted only here
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError:
        raise SettingsError(f"{name}: keyring is not installed; pip install 'dbplanmon-pipeline[keyring]'") from None
    try:
        value = keyring.get_password(service, user)
    except KeyringError as error:
        raise SettingsError(f"{name}: the keyring cannot be used ({type(error).__name__}); unlock it") from None
    if not value:
        raise SettingsError(f"{name}: no such entry; add it with: keyring set {service} {user}")
    return str(value)


Secret = Annotated[SecretReference, AfterValidator(refuse_plain)]
"""A secret; in the settings only by reference in production."""

SecretUrl = Annotated[SecretReference, AfterValidator(_require_url)]
"""A URL that may hold a secret; in clear text only while it holds none."""
