"""As `plain`, with a task that is a plain function: it runs in a thread."""

import mark

import chute

jobs = chute.Queue("jobs")


@jobs.task
def answer(question: str) -> dict[str, str]:
    """The answer."""
    mark.hit()
    return {"answer": "RAG is retrieval"}
