"""`/findings/{rule}`: what a finding means and what to do, as its page under docs/findings says."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.plans.findings.model import Rule
from dbplanmon_pipeline.core.plans.findings.registry import RULES
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.pages.templating import render

_FOLDERS = (
    Path(__file__).parents[3] / "docs" / "findings",
    Path(sys.prefix) / "share" / "doc" / "dbplanmon_pipeline" / "findings",
)
"""In a checkout, and where an installation puts them."""

_RULES = {rule.slug: rule for rule in RULES}
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```\w*\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\(([\w-]+)\.md\)")


@dataclass(frozen=True, slots=True)
class Part:
    """A paragraph, or lines of SQL."""

    text: Markup | str
    is_code: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    parts: tuple[Part, ...]


@require(Role.VIEWER)
def finding(request: Request) -> Response:
    """The page."""
    rule = _RULES.get(request.path_params["rule"])
    if rule is None:
        raise HTTPException(404, "there is no finding of this name")
    return render(request, "finding.html", rule=rule, page_sections=sections_of(rule))


@cache
def sections_of(rule: Rule) -> tuple[Section, ...]:
    """What the page of a rule says; only its advice where the pages were not installed."""
    text = _page(f"{rule.slug}.md")
    if not text:
        return (Section("What to do", (Part(rule.advice, False),)),)
    _, *found = _SECTION.split(text)
    return tuple(Section(heading, tuple(_parts(body))) for heading, body in zip(found[::2], found[1::2], strict=True))


def _page(name: str) -> str:
    for folder in _FOLDERS:
        page = folder / name
        if page.is_file():
            return page.read_text(encoding="utf-8")
    return ""


def _parts(body: str) -> Iterator[Part]:
    """Paragraphs and code in turn."""
    for place, piece in enumerate(_FENCED.split(body)):
        if place % 2:
            yield Part(piece, True)
        else:
            yield from (Part(_marked_up(text), False) for text in piece.split("\n\n") if text.strip())


def _marked_up(text: str) -> Markup:
    """A paragraph with its code; links to other findings are neighbours of this page."""
    plain = str(escape(" ".join(text.split())))
    linked = _LINK.sub(r'<a href="\2">\1</a>', plain)
    return Markup(_CODE.sub(r"<code>\1</code>", linked))  # noqa: S704
