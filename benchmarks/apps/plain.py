"""The job that all systems are measured with: it does nothing and has an answer."""

import mark

import chute

jobs = chute.Queue("jobs")


@jobs.task
async def answer(question: str) -> dict[str, str]:
    """The answer."""
    mark.hit()
    return {"answer": "RAG is retrieval"}
