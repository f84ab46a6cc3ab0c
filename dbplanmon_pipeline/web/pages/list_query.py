"""What a list shows, from the query of its address."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request

from dbplanmon_pipeline.web.pages.spans import PERIODS
from dbplanmon_pipeline.web.pages.templating import link, with_query

PERIOD_CHOICES = tuple((key, words) for key, (words, _) in PERIODS.items())
_LONGEST = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn:
    """Addresses of the first and the next page of a list; empty where there is none."""

    first: str
    following: str


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What somebody asked for.

    Attributes:
        chosen: as the form has it, by name of the field.
        defaults: what holds where nothing was chosen.
        after: mark of the page.
    """

    chosen: Mapping[str, str]
    defaults: Mapping[str, str]
    after: str = ""

    @property
    def is_narrowed(self) -> bool:
        """True where something was chosen."""
        return dict(self.chosen) != dict(self.defaults)

    def since(self, now: datetime) -> datetime:
        """Beginning of the chosen period."""
        return now - PERIODS[self.chosen["period"]][1]

    def asked(self, ask: Callable[[str], T]) -> T:
        """What the store gives for the mark of the page.

        Raises:
            HTTPException: 400, the mark makes no sense.
        """
        try:
            return ask(self.after)
        except ValueError:
            raise HTTPException(
                400, "`after` is the mark that the page before gave; leave it out for the first page"
            ) from None

    def pages(self, request: Request, name: str, following: str) -> Turn:
        """Where the list goes on."""
        path = link(request, name)
        return Turn(
            with_query(path, **self.chosen) if self.after else "",
            with_query(path, **self.chosen, after=following) if following else "",
        )


def list_query(parameters: QueryParams, **defaults: str) -> ListQuery:
    """Read the query of an address; `defaults` names the fields.

    Raises:
        HTTPException: 400, the period is none.
    """
    chosen = {name: parameters.get(name, "").strip()[:_LONGEST] or default for name, default in defaults.items()}
    if "period" in chosen and chosen["period"] not in PERIODS:
        raise HTTPException(400, f"the period is one of {', '.join(PERIODS)}, not {chosen['period'][:40]!r}")
    return ListQuery(chosen, defaults, parameters.get("after", "")[:_LONGEST])


def one_of(name: str, text: str, known: Sequence[str]) -> str:
    """The text where it is one of these, or empty.

    Raises:
        HTTPException: 400, it is none.
    """
    if text and text not in known:
        raise HTTPException(400, f"the {name} is one of {', '.join(known)}, not {text[:40]!r}")
    return text
