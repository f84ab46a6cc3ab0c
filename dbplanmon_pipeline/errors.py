"""Every error this package raises on purpose.

DbPlanMonError
├── SettingsError              settings file, environment or run config
├── ProviderError              one monitored server or database
│   ├── CannotConnect          unreachable, refused, cut
│   ├── LoginFailed            wrong user, password or database access
│   ├── PermissionMissing      connected, but not allowed to read what is needed
│   ├── QueryTimedOut          statement, lock or budget ran out
│   ├── FeatureUnavailable     extension, version or setting is missing
│   └── StatementRefused       a statement of a user would write, or might
├── StoreError                 our own database
│   ├── StoreUnavailable       cannot be opened or reached
│   └── StoreSchemaMismatch    needs `dbplanmon store upgrade`, or is newer than this program
├── PlanParseError             a text that is no plan
└── NotificationError          a channel did not take a message

Each message is one line: what is wrong, where, and what to do. It never holds a password or a literal of a statement.
"""


class DbPlanMonError(Exception):
    """Root of the tree; catching it catches every expected failure."""


class SettingsError(DbPlanMonError):
    """Settings are wrong; the message lists all problems at once."""


class ProviderError(DbPlanMonError):
    """Reading one target failed.

    Args:
        message: one line, scrubbed of secrets.
        target: `instance` or `instance/database`.
        remedy: what an operator can do, one sentence.

    Attributes:
        native: the server's own number of the error; None where it gave none.
        passes_soon: the same may go well within a second: a cut connection, a lost deadlock, a busy service.
    """

    error_class = "provider_error"
    transient = False
    native: int | None = None
    passes_soon = False

    def __init__(self, message: str, *, target: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.target = target
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.target}: {self.sentence}" if self.target else self.sentence

    @property
    def sentence(self) -> str:
        """Message and remedy in one line, without the target."""
        message = " ".join(self.message.split())
        if not self.remedy:
            return message
        return f"{message.rstrip('.')}. {' '.join(self.remedy.split())}"


class CannotConnect(ProviderError):
    """The server cannot be reached, refuses, or cut the connection."""

    error_class = "unreachable"
    transient = True


class LoginFailed(ProviderError):
    """The server is there and rejects the login."""

    error_class = "login"


class PermissionMissing(ProviderError):
    """The login works but may not read what is needed."""

    error_class = "permission"


class QueryTimedOut(ProviderError):
    """A statement, a lock wait or the budget of a database ran out."""

    error_class = "timeout"
    transient = True


class FeatureUnavailable(ProviderError):
    """An extension, a version or a setting that the reading needs is missing."""

    error_class = "feature"


class StatementRefused(ProviderError):
    """A statement of a user does not only read, or nothing guarantees that it does."""

    error_class = "refused"


class StoreError(DbPlanMonError):
    """Our own store failed."""


class StoreUnavailable(StoreError):
    """The store cannot be opened or reached."""


class StoreSchemaMismatch(StoreError):
    """The store has another schema version than this program."""


class PlanParseError(DbPlanMonError):
    """A text that should be an execution plan is none."""


class NotificationError(DbPlanMonError):
    """A channel did not take a message; `transient` says whether trying again can help."""

    def __init__(self, message: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient
