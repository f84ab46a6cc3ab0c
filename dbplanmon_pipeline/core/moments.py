"""Aware UTC moments as the epoch microseconds that the arrays hold, and back."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def epoch_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def from_epoch_us(microseconds: int) -> datetime:
    """Aware UTC moment of epoch microseconds."""
    return _EPOCH + timedelta(microseconds=int(microseconds))


def read_utc(text: str) -> datetime | None:
    """An ISO 8601 moment that says its offset, as aware UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
