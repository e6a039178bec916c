"""A task, a job and its result, in ordinary code.

In this directory, in two terminals:

    chute work quickstart_sync      # the worker; starts a server if none is named
    python quickstart_sync.py       # enqueues and waits

`--url`, or CHUTE_URL in both terminals, names a Redis or Valkey of your own.
"""

import chute

jobs = chute.Queue("quickstart")


@jobs.task
def answer(question: str) -> dict[str, str]:
    return {"answer": f"You asked: {question}"}


def main() -> None:
    job = answer.enqueue("What is RAG?")  # sent; the worker may already have it
    print(job.id, job.status())
    print(job.result(timeout=30))  # waits; wakes when the result is there

    # Many jobs go in one exchange. The handles come back in the same order.
    handles = jobs.enqueue_many(answer.bind(f"Question {n}?") for n in range(1, 4))
    for handle in handles:
        print(handle.result(timeout=30)["answer"])


if __name__ == "__main__":
    main()
