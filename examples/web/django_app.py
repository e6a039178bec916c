"""Chute in Django, a whole project in one file: one view enqueues a question, another one tells what came of it.

In this directory, with Django and gunicorn installed, in two terminals:

    chute work django_app:jobs
    gunicorn --preload -w 2 --threads 4 django_app:application

    curl --json '{"question": "What is RAG?"}' localhost:8000/jobs
    curl localhost:8000/jobs/THE_ID_IT_SAID

A queue may be used before the fork (--preload), after it and by every thread: each process has connections of its own.

With a database: enqueue in `transaction.on_commit(...)`, or a worker may look for a row that is not there yet; and call
`django.db.close_old_connections()` where a task begins, as Django itself does where a request begins.
"""

import json
import secrets

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

import chute

jobs = chute.Queue("web")  # opens nothing: the server is looked for when the first job is sent


@jobs.task
def answer(question: str) -> dict[str, str]:
    return {"answer": f"You asked: {question}"}


@require_POST
def ask(request: HttpRequest) -> JsonResponse:
    job = answer.enqueue(json.loads(request.body)["question"])
    return JsonResponse({"job_id": job.id}, status=202)


@require_GET
def look(_: HttpRequest, job_id: str) -> JsonResponse:
    try:
        return JsonResponse({"job_id": job_id, "status": "completed", "result": answer.job(job_id).result(timeout=0)})
    except chute.errors.JobFailed as failed:
        return JsonResponse({"job_id": job_id, "status": "failed", "error": failed.error})
    except TimeoutError:
        # It waits, runs, was never there, or its result has passed its time: these look alike from here, so it is not a 404.
        return JsonResponse({"job_id": job_id, "status": "pending"})
    except ValueError as error:  # what cannot be an id
        return JsonResponse({"detail": str(error)}, status=404)


urlpatterns = [path("jobs", ask), path("jobs/<str:job_id>", look)]

# The worker imports this module too, so its tasks find Django set up.
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"], SECRET_KEY=secrets.token_hex())
application = get_wsgi_application()
