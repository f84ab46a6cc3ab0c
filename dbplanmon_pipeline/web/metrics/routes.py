"""`/metrics`."""

from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.probes import probes_of


async def metrics(request: Request) -> Response:
    """Figures of now, in the form the client asks for."""
    if not user_of(request).role.covers(Role.VIEWER):
        headers = {"WWW-Authenticate": 'Bearer realm="dbplanmon"'}
        return PlainTextResponse("figures are for viewers; send Authorization: Bearer TOKEN\n", 401, headers)
    probes = probes_of(request)
    await probes.figures.get()
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    text = await run_in_threadpool(encode, probes.exposition.registry)
    return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def metrics_routes() -> list[BaseRoute]:
    """Routes that need no login unless `web.anonymous` is `nobody`."""
    return [Route("/metrics", metrics)]
