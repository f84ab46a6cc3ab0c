"""Tokens of the status page and the logins made with them."""

from dataclasses import asdict
from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, select

from dbplanmon_pipeline.core.ports.access import AccessToken, Role
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import access_login, access_token

_FIELDS = tuple(AccessToken.__dataclass_fields__)


class AccessPart(StorePart):
    """Satisfies `core.ports.access.AccessStore`."""

    def add_token(self, token: AccessToken, digest: bytes) -> bool:
        """Store a token, with an entry in the audit; false where one in force has the name."""
        record = asdict(token) | {"role": token.role.value, "digest": digest}
        detail = {"token_id": token.token_id, "role": token.role.value, "expires_at": token.expires_at}
        same = select(access_token.c.expires_at).where(
            access_token.c.name == token.name, access_token.c.revoked_at.is_(None)
        )
        with self._database.write() as connection:
            ends = connection.execute(same).scalars().all()
            if any(end is None or end > token.created_at for end in ends):
                return False
            if ends:
                self._end(connection, token.name)
            # Two writers of PostgreSQL may both get here; the index over names in force lets one through.
            if not insert_records(connection, access_token, [record], "ON CONFLICT DO NOTHING"):
                return False
            self._note(connection, token.created_by, "access added", token.name, detail)
        return True

    def tokens(self) -> list[AccessToken]:
        """All tokens ever made, the oldest first."""
        columns = [access_token.c[name] for name in _FIELDS]
        statement = select(*columns).order_by(access_token.c.created_at, access_token.c.token_id)
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(statement).mappings()]

    def token(self, token_id: str) -> tuple[AccessToken, bytes] | None:
        """A token and its digest."""
        statement = select(access_token).where(access_token.c.token_id == token_id)
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else (_token(row), bytes(row["digest"]))

    def revoke_token(self, name: str, actor: str, reason: str) -> bool:
        """End the token in force and its logins, with an entry in the audit; false where there is none."""
        with self._database.write() as connection:
            if not self._end(connection, name):
                return False
            self._note(connection, actor, "access revoked", name, {"reason": reason})
        return True

    def note_token_use(self, token_id: str, day: date) -> None:
        """Remember the day of the last use."""
        noted = access_token.update().where(access_token.c.token_id == token_id).values(last_used_on=day)
        with self._database.write() as connection:
            connection.execute(noted)

    def add_login(self, login_id: str, digest: bytes, token_id: str, expires_at: datetime) -> None:
        """Store a login, and forget those that have expired."""
        record = {"login_id": login_id, "digest": digest, "token_id": token_id, "expires_at": expires_at}
        with self._database.write() as connection:
            connection.execute(access_login.delete().where(access_login.c.expires_at < self._clock()))
            insert_records(connection, access_login, [record])

    def login(self, login_id: str) -> tuple[AccessToken, bytes, datetime] | None:
        """Token, digest and end of a login; None where there is none."""
        columns = [access_token.c[name] for name in _FIELDS]
        own = (access_login.c.digest.label("login_digest"), access_login.c.expires_at.label("login_ends"))
        joined = access_login.join(access_token, access_login.c.token_id == access_token.c.token_id)
        statement = select(*columns, *own).select_from(joined).where(access_login.c.login_id == login_id)
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else (_token(row), bytes(row["login_digest"]), row["login_ends"])

    def end_login(self, login_id: str) -> None:
        """Forget a login."""
        with self._database.write() as connection:
            connection.execute(access_login.delete().where(access_login.c.login_id == login_id))

    def _end(self, connection: Connection, name: str) -> bool:
        ids = select(access_token.c.token_id).where(access_token.c.name == name)
        connection.execute(access_login.delete().where(access_login.c.token_id.in_(ids)))
        in_force = (access_token.c.name == name, access_token.c.revoked_at.is_(None))
        ending = access_token.update().where(*in_force).values(revoked_at=self._clock())
        return bool(connection.execute(ending).rowcount)


def _token(row: RowMapping) -> AccessToken:
    facts = {name: row[name] for name in _FIELDS}
    return AccessToken(**facts | {"role": Role(row["role"])})
