"""What happens when a job fails: it is tried again, and what cannot succeed is kept as a dead letter.

One program with a worker of its own, in this directory:

    python retries_and_dead_letters.py
    chute dead list orders                # what failed, and why
    chute dead requeue orders --all       # put it back once the cause is mended
"""

import asyncio
import logging

import chute

orders = chute.Queue("orders")


# Waits of up to 0.1 s, 0.2 s, ... between the runs, random so that many failures do not return together.
@orders.task(retries=2, backoff=0.1, give_up_on=LookupError)
async def charge(order: int) -> str:
    run = chute.context().attempt
    print(f"order {order}, run {run}")
    match order:
        case 1 if run == 1:
            raise ConnectionError("the bank did not answer")  # like any exception: tried again
        case 2 if run == 1:
            raise chute.Retry(after=0.2)  # tried again after a wait that the task chooses
        case 3:
            raise chute.GiveUp("the card was stolen")  # no further run can help
        case 4:
            raise KeyError("no such customer")  # nor here: give_up_on=LookupError
        case 5:
            raise ConnectionError("the bank did not answer")  # until its retries are used up
        case _:
            return f"order {order} was charged in run {run}"


async def main() -> None:
    logging.getLogger("chute").setLevel(logging.ERROR)  # this program tells the same in its own words
    async with chute.Worker(orders):
        for job in [await charge.aenqueue(order) for order in range(1, 6)]:
            try:
                print(await job.aresult(timeout=30))
            except chute.errors.JobFailed as failed:
                print(f"failed for good: {failed.error}")
    await chute.aclose()


if __name__ == "__main__":
    asyncio.run(main())
