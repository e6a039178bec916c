"""Async tasks, enqueued and awaited in asyncio code: a web handler, a notebook, a bot.

In this directory, in two terminals:

    chute work quickstart_async
    python quickstart_async.py
"""

import asyncio

import chute

pages = chute.Queue("pages")


@pages.task(timeout=30, retries=5)
async def fetch(url: str, pause: float = 0.0) -> int:
    await asyncio.sleep(pause)  # stands for an HTTP request; a worker runs a hundred of these at once
    return len(url)


async def main() -> None:
    # Each call has an async twin whose name begins with "a".
    job = await fetch.aenqueue("https://example.org/")
    print("one:", await job.aresult(timeout=30))

    # gather: all results, in the order of the jobs.
    handles = await pages.aenqueue_many(fetch.bind(f"https://example.org/{'x' * n}") for n in range(3))
    print("all:", await chute.gather(*handles, timeout=30))

    # as_completed: each job as it ends.
    handles = [await fetch.aenqueue("slow", pause=0.5), await fetch.aenqueue("at once")]
    async for done in chute.as_completed(handles, timeout=30):
        print("done:", done.result())

    # options: this once otherwise. This job is handed out in 0.2 s.
    later = await fetch.options(delay=0.2, headers={"from": "quickstart"}).aenqueue("later")
    print("later:", await later.aresult(timeout=30))

    await chute.aclose()


if __name__ == "__main__":
    asyncio.run(main())
