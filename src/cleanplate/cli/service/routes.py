"""The interface: routes, and the answers to errors. FastAPI reads the annotations, so they are evaluated."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cleanplate import __version__
from cleanplate.cli.service.access import Caller
from cleanplate.cli.service.engine import Service
from cleanplate.cli.service.job_store import ENDED, JobRecord, PlateRecord
from cleanplate.cli.service.metrics import CONTENT_TYPE
from cleanplate.cli.service.page import WebPage
from cleanplate.cli.service.query import make_query_model
from cleanplate.cli.service.refusals import NO_ROOM, Refusal, is_full, refusal_of
from cleanplate.cli.service.requests import (
    FIELDS,
    CutPicture,
    cut_picture,
    download_name,
    queue_clip,
    store_plate,
)
from cleanplate.errors import CleanplateError

PICTURE_FORMATS = ("png", "tif", "webp", "avif", "jpg", "exr", "dpx")
CLIP_FORMATS = ("mov", "webm", "mkv", "mp4")

EVENT_SECONDS = 0.25
ALIVE_SECONDS = 15.0
"""Time between comments that keep a silent stream of events open."""

PictureQuery: Any = make_query_model("PictureQuery", PICTURE_FORMATS, video=False)
ClipQuery: Any = make_query_model("ClipQuery", CLIP_FORMATS, video=True)


def make_app(service: Service, page: Path | None = None) -> FastAPI:
    """The application of a service, with the web page of a folder."""
    app = FastAPI(
        title="cleanplate",
        version=__version__,
        description="Cut the subject out of pictures and clips with a picture of the empty set.",
        docs_url=None,  # its page loads scripts of other hosts
        redoc_url=None,
        responses={status: {"description": text} for status, text in _STATUSES.items()},
    )

    async def admit(request: Request) -> Caller:
        address = request.client.host if request.client else ""
        return service.access.admit(request.headers, address)

    caller = Annotated[Caller, Depends(admit)]
    _add_picture_routes(app, service, caller)
    _add_job_routes(app, service, caller)
    _add_status_routes(app, service, admit)
    _add_error_answers(app)
    if page is not None:
        app.mount("/", WebPage(page, needs_token=service.access.needs_token))
    app.add_middleware(_CountRequests, service=service)
    return app


_STATUSES: dict[int | str, str] = {
    401: "The token is missing or unknown",
    413: "A file is above a limit",
    422: "A file or an option is wrong",
    429: "The queue is full; Retry-After tells when to come again",
    503: "The service is busy or stopping",
    507: "The disk is full",
}


def _body(required: tuple[str, ...], fields: tuple[str, ...]) -> dict[str, Any]:
    """Description of a body with files."""
    files = {field: {"type": "string", "format": "binary"} for field in fields}
    schema = {"type": "object", "required": list(required), "properties": files}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _add_picture_routes(app: FastAPI, service: Service, caller: Any) -> None:
    @app.post(
        "/v1/image",
        response_class=Response,
        summary="Key a picture",
        openapi_extra=_body(("source",), FIELDS),
    )
    async def image(request: Request, caller: caller, query: Annotated[PictureQuery, Query()]) -> Response:
        return _PictureResponse(service, await cut_picture(service, request, caller, query))

    @app.post(
        "/v1/plates",
        status_code=201,
        summary="Check and store a plate",
        openapi_extra=_body(("plate",), ("plate", "source")),
    )
    async def plates(request: Request, caller: caller) -> dict[str, Any]:
        return _describe_plate(await store_plate(service, request, caller))

    @app.get("/v1/plates/{plate_id}", summary="Describe a stored plate")
    async def plate(plate_id: str, caller: caller) -> dict[str, Any]:
        return _describe_plate(_find_plate(plate_id, caller))

    @app.delete("/v1/plates/{plate_id}", status_code=204, summary="Remove a stored plate")
    def remove_plate(plate_id: str, caller: caller) -> None:
        service.store.remove_plate(_find_plate(plate_id, caller))

    def _find_plate(plate_id: str, caller: Caller) -> PlateRecord:
        found = service.store.find_plate(plate_id, caller.owner)
        if found is None:
            raise Refusal(404, "There is no plate of this id.")
        return found


def _add_job_routes(app: FastAPI, service: Service, caller: Any) -> None:
    @app.post(
        "/v1/videos",
        status_code=202,
        summary="Queue a clip",
        openapi_extra=_body(("source",), FIELDS),
    )
    async def videos(
        request: Request, response: Response, caller: caller, query: Annotated[ClipQuery, Query()]
    ) -> dict[str, Any]:
        record = await queue_clip(service, request, caller, query)
        response.headers["Location"] = f"/v1/jobs/{record.id}"
        return describe_job(record)

    @app.get("/v1/jobs/{job_id}", summary="Describe a job: state, progress, results")
    async def job(job_id: str, caller: caller) -> dict[str, Any]:
        return describe_job(find(job_id, caller))

    @app.delete("/v1/jobs/{job_id}", summary="Cancel a job; remove one that has ended")
    def remove(job_id: str, caller: caller) -> Response:
        record = find(job_id, caller)
        if record.state in ENDED:
            service.store.remove_job(record)
            return Response(status_code=204)
        service.cancel_job(record)
        return JSONResponse(describe_job(record), status_code=202)

    @app.get("/v1/jobs/{job_id}/events", summary="Follow a job: server-sent events")
    async def events(job_id: str, request: Request, caller: caller) -> StreamingResponse:
        stream = _follow(service, find(job_id, caller), request)
        return StreamingResponse(
            stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @app.get("/v1/jobs/{job_id}/results/{layer}", response_class=FileResponse, summary="Download a result")
    async def result(job_id: str, layer: str, caller: caller) -> FileResponse:
        record = find(job_id, caller)
        name = record.results.get(layer)
        if name is None or record.state != "done":
            raise Refusal(404, f"The job has no layer of this name, or is {record.state}.")
        path = service.store.folder_of("jobs", record.id) / name
        return FileResponse(path, filename=_result_name(record, layer))

    @app.get("/v1/jobs/{job_id}/report", response_class=FileResponse, summary="Download the report")
    async def report(job_id: str, caller: caller) -> FileResponse:
        record = find(job_id, caller)
        path = service.store.folder_of("jobs", record.id) / "report.json"
        if record.state != "done" or not path.is_file():
            raise Refusal(404, "The job has no report.")
        return FileResponse(path, media_type="application/json")

    def find(job_id: str, caller: Caller) -> JobRecord:
        found = service.store.find_job(job_id, caller.owner)
        if found is None:
            raise Refusal(404, "There is no job of this id.")
        return found


def _add_status_routes(app: FastAPI, service: Service, admit: Any) -> None:
    @app.get("/healthz", summary="Tell whether the service works")
    async def health() -> JSONResponse:
        ok = service.is_healthy
        return JSONResponse({"status": "ok" if ok else "stopping"}, status_code=200 if ok else 503)

    @app.get("/metrics", dependencies=[Depends(admit)], summary="Figures for Prometheus")
    async def metrics() -> Response:
        return Response(service.metrics.show(), headers={"Content-Type": CONTENT_TYPE})


def _add_error_answers(app: FastAPI) -> None:
    def answer(_: Request, error: Exception) -> Response:
        refusal = _refuse(error)
        headers = {"Retry-After": str(refusal.retry_seconds)} if refusal.retry_seconds else {}
        if refusal.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, HTTPException) and error.headers:
            headers |= error.headers
        return JSONResponse(refusal.to_json(), status_code=refusal.status, headers=headers)

    for kind in (
        *(Refusal, CleanplateError, RequestValidationError, HTTPException),
        *(ClientDisconnect, OSError, Exception),
    ):
        app.add_exception_handler(kind, answer)


def _refuse(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, CleanplateError):
        return refusal_of(error, {})
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        name = str(first["loc"][-1])[:100]
        if first["type"] == "extra_forbidden":
            return Refusal(422, f"There is no parameter {name}.", "see /openapi.json")
        return Refusal(
            422, f"The parameter {name} is wrong: {str(first['msg'])[:1000].lower()}.", "see /openapi.json"
        )
    if isinstance(error, HTTPException):
        return Refusal(error.status_code, f"{error.detail}.")
    if isinstance(error, ClientDisconnect):
        return Refusal(400, "The client has gone.")
    if is_full(error):
        return Refusal(507, NO_ROOM, "try again later")
    return Refusal(500, "The service failed.")


class _PictureResponse(FileResponse):
    """Sends a keyed picture and removes its folder, whether the client takes it or not."""

    def __init__(self, service: Service, cut: CutPicture) -> None:
        headers = {"Cleanplate-Notes": json.dumps(cut.notes), "Cache-Control": "no-store"}
        super().__init__(cut.file, filename=cut.name, headers=headers)
        self._service, self._cut = service, cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._service.store.remove_folder(self._cut.folder)


class _CountRequests:
    """Counts answers by route and status."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "") or "other"
                self._service.metrics.count_request(route, message["status"])
            await send(message)

        await self._app(scope, receive, watch if scope["type"] == "http" else send)


async def _follow(service: Service, record: JobRecord, request: Request) -> AsyncIterator[str]:
    """Send the job at each change, until it ends; the event's name is its state."""
    seen, silent = -1, 0.0
    while not service.is_stopping and not await request.is_disconnected():
        if record.version != seen:
            seen, silent = record.version, 0.0
            yield f"event: {record.state}\nid: {seen}\ndata: {json.dumps(describe_job(record))}\n\n"
            if record.state in ENDED:
                return
        elif silent >= ALIVE_SECONDS:
            silent = 0.0
            yield ": waiting\n\n"
        await asyncio.sleep(EVENT_SECONDS)
        silent += EVENT_SECONDS


def describe_job(record: JobRecord) -> dict[str, Any]:
    """A job for its client."""
    results = record.results if record.state == "done" else {}
    return {
        "id": record.id,
        "state": record.state,
        "source": record.names["source"],
        "created": record.created,
        "started": record.started,
        "finished": record.finished,
        "progress": record.progress or None,
        "frames": record.frames,
        "resumed_frames": record.resumed_frames,
        "notes": list(record.notes),
        "results": [
            {
                "layer": layer,
                "name": _result_name(record, layer),
                "url": f"/v1/jobs/{record.id}/results/{layer}",
            }
            for layer in results
        ],
        "report": record.report,
        "error": record.error,
    }


def _describe_plate(record: PlateRecord) -> dict[str, Any]:
    return {"id": record.id, "name": record.name, **record.facts}


def _result_name(record: JobRecord, layer: str) -> str:
    stem = record.names["source"].rpartition(".")[0] or record.names["source"]
    suffix = record.results[layer].rpartition(".")[2]
    return download_name(stem, layer, f".{suffix}")
