"""Chute in Flask: one route enqueues a question, another one tells what came of it.

In this directory, with Flask and gunicorn installed, in two terminals:

    chute work flask_app:jobs
    gunicorn --preload -w 2 --threads 4 flask_app:app

    curl --json '{"question": "What is RAG?"}' localhost:8000/jobs
    curl localhost:8000/jobs/THE_ID_IT_SAID

A queue may be used before the fork (--preload), after it and by every thread: each process has connections of its own.
"""

from typing import Any

from flask import Flask, request

import chute

jobs = chute.Queue("web")  # opens nothing: the server is looked for when the first job is sent
app = Flask(__name__)


@jobs.task
def answer(question: str) -> dict[str, str]:
    return {"answer": f"You asked: {question}"}


@app.post("/jobs")
def ask() -> tuple[dict[str, str], int]:
    job = answer.enqueue(request.get_json()["question"])
    return {"job_id": job.id}, 202


@app.get("/jobs/<job_id>")
def look(job_id: str) -> dict[str, Any]:
    try:
        return {"job_id": job_id, "status": "completed", "result": answer.job(job_id).result(timeout=0)}
    except chute.errors.JobFailed as failed:
        return {"job_id": job_id, "status": "failed", "error": failed.error}
    except TimeoutError:
        # It waits, runs, was never there, or its result has passed its time: these look alike from here, so it is not a 404.
        return {"job_id": job_id, "status": "pending"}


@app.errorhandler(chute.errors.ServerUnavailable)
def unavailable(error: Exception) -> tuple[dict[str, str], int]:
    return {"detail": str(error)}, 503


@app.errorhandler(ValueError)
def no_such_id(error: Exception) -> tuple[dict[str, str], int]:
    return {"detail": str(error)}, 404
