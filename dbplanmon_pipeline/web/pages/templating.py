"""Templates: one environment that always escapes, and what every page finds in it."""

import hashlib
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import (
    cost_words,
    counted,
    duration_words,
    hash_words,
    moment_words,
    one_line,
    ratio_words,
    seconds_words,
)
from dbplanmon_pipeline.core.readings.failures import share_words
from dbplanmon_pipeline.core.workload.words import busier_words, growth_sentence, growth_words
from dbplanmon_pipeline.web.access.csrf import FIELD, csrf_token
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.charts.svg import value_rows
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.foreign_text import shown
from dbplanmon_pipeline.web.pages import spans, words
from dbplanmon_pipeline.web.pages.navigation import sections

_PACKAGE = "dbplanmon_pipeline.web"


def render(request: Request, template: str, *, status: int = 200, **facts: Any) -> HTMLResponse:
    """The page of a template; `facts` are what it shows."""
    return HTMLResponse(_environment().get_template(template).render(_shared(request) | facts), status)


def link(request: Request, name: str, **parameters: object) -> str:
    """Path to a page by the name of its route, the prefix of a proxy included; empty where there is no such page."""
    route = _routes(request.app).get(name)
    if route is None:
        return ""
    path = route.url_path_for(name, **{key: quote(str(value), safe="") for key, value in parameters.items()})
    return f"{request.scope.get('app_root_path', request.scope.get('root_path', ''))}{path}"


@lru_cache(maxsize=4)
def _routes(app: Starlette) -> dict[str, BaseRoute]:
    """Routes by name: a fleet has hundreds of links, and looking through all routes for each of them shows."""
    return {name: route for route in reversed(app.routes) if (name := getattr(route, "name", None))}


def with_query(path: str, **parameters: object) -> str:
    """The path with a query; parameters without a value are left out."""
    given = {key: str(value) for key, value in parameters.items() if value not in ("", None)}
    return f"{path}?{urlencode(given)}" if given else path


def _shared(request: Request) -> dict[str, Any]:
    context, user = context_of(request), user_of(request)

    def to(name: str, **parameters: object) -> str:
        return link(request, name, **parameters)

    return {
        "to": to,
        "static": lambda name: f"{link(request, 'static', path=name)}?v={_digest(name)}",
        "sections": sections(request.url.path, to),
        "environment": context.settings.environment,
        "now": context.clock(),
        "user": user,
        "is_operator": user.role.covers(Role.OPERATOR),
        "csrf_field": FIELD,
        "csrf_value": csrf_token(request),
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cost": cost_words,
        "duration": duration_words,
        "seconds": seconds_words,
        "ratio": ratio_words,
        "moment": moment_words,
        "short_moment": words.short_moment,
        "hash": hash_words,
        "digits": hash_text,
        "line": one_line,
        "value_rows": value_rows,
        "count": spans.count_words,
        "reads": spans.count_words,
        "megabytes": spans.megabytes_words,
        "period": lambda key: spans.PERIODS[key][0].lower(),
    }
    environment.globals |= {
        "ago": words.ago_words,
        "counted": counted,
        "severity_badge": words.severity_badge,
        "state_badge": words.state_badge,
        "reading_badge": words.reading_badge,
        "is_incident_id": words.is_incident_id,
        "place": words.place_words,
        "mute_words": words.mute_words,
        "title_of": words.incident_title,
        "effect_of": words.effect_words,
        "share_of": share_words,
        "lasted": words.lasted_words,
        "LABELS": words.LABELS,
        "with_query": with_query,
        "growth_words": growth_words,
        "growth_sentence": growth_sentence,
        "busier_words": busier_words,
    }
    return environment


@cache
def _digest(name: str) -> str:
    """So that a browser keeps a file until it changes."""
    return hashlib.sha256((files(_PACKAGE) / "static" / name).read_bytes()).hexdigest()[:12]
