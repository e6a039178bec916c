"""A worker inside a web app: one process answers requests and runs the jobs; for small apps, demos and tests.

In this directory, with FastAPI and an ASGI server installed:

    uvicorn embedded_worker:app                 # or another server: gunicorn -k asgi embedded_worker:app

    curl 'localhost:8000/answer?question=What+is+RAG'

The jobs are on the server as any others: `chute work embedded_worker:jobs` elsewhere takes its share of them.
"""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException

import chute

jobs = chute.Queue("embedded")


@jobs.task
async def answer(question: str) -> dict[str, str]:
    return {"answer": f"You asked: {question}"}


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with chute.Worker(jobs):  # at the end it takes no more jobs, and what runs has 30 s
        yield
    await chute.aclose()


app = FastAPI(lifespan=lifespan)


@app.get("/answer")
async def ask(question: str) -> dict[str, str]:
    job = await answer.aenqueue(question)
    try:
        return await job.aresult(timeout=10)  # woken when the result is there; a thousand of these wait on one connection
    except TimeoutError as error:
        raise HTTPException(504, f"{error}") from error
