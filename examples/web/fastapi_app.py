"""Chute in FastAPI: one route enqueues a question, another one tells what came of it.

In this directory, with FastAPI and an ASGI server installed, in two terminals:

    chute work fastapi_app:jobs
    uvicorn fastapi_app:app                     # or another server: gunicorn -k asgi fastapi_app:app

    curl --json '{"question": "What is RAG?"}' localhost:8000/jobs
    curl localhost:8000/jobs/THE_ID_IT_SAID
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

import chute

jobs = chute.Queue("web")  # opens nothing: the server is looked for when the first job is sent


@jobs.task
async def answer(question: str) -> dict[str, str]:
    return {"answer": f"You asked: {question}"}


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await chute.aclose()  # the connections of this event loop


app = FastAPI(lifespan=lifespan)


def known(job_id: str) -> chute.Job[dict[str, str]]:
    """The handle of a job; it asks no server, so there is one for every id that can be one."""
    try:
        return answer.job(job_id)
    except ValueError as error:
        raise HTTPException(404, str(error)) from error


@app.post("/jobs", status_code=202)
async def ask(question: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    job = await answer.aenqueue(question)
    return {"job_id": job.id}


@app.get("/jobs/{job_id}")
async def look(job: Annotated[chute.Job[dict[str, str]], Depends(known)]) -> dict[str, Any]:
    try:
        return {"job_id": job.id, "status": "completed", "result": await job.aresult(timeout=0)}
    except chute.errors.JobFailed as failed:
        return {"job_id": job.id, "status": "failed", "error": failed.error}
    except TimeoutError:
        # It waits, runs, was never there, or its result has passed its time: these look alike from here, so it is not a 404.
        return {"job_id": job.id, "status": "pending"}


@app.exception_handler(chute.errors.ServerUnavailable)
async def unavailable(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=503)
