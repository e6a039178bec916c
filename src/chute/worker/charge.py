"""What becomes of a job whose process died: which ones pay for it, and how. Pure.

Only a job that had started is charged (`@deaths`). One with a death behind it runs alone in its process, so an innocent clears itself; whoever is
there at the third death is a dead letter.
"""

from chute import envelope
from chute.envelope import Refused
from chute.outcome import Failed

POISON = 3
"""Deaths after which a job is not run again."""


def charged(body: bytes) -> bytes | Failed:
    """The job with one more death, to go back to the front; or its end as a dead letter: at the third, or at the first where it has no room to note
    one, since it would run for ever. What is no job goes back as it is, and is refused."""
    try:
        job = envelope.check(body)
    except Refused:
        return body
    deaths = job.get("@deaths", 0) + 1
    if deaths >= POISON:
        task = f" (task {job['@task']})" if "@task" in job else ""
        return Failed(
            "poison", f"the process that ran it{task} died {deaths} times, the last time with nothing else running: it is not run again"
        )
    again = envelope.rewrite(body, deaths=deaths)
    if len(again) > envelope.MAX_BYTES:
        return Failed(
            "poison",
            "the process that ran it died, and the job has no room to note that (it would be larger than 1 MiB): it is not run again",
        )
    return again
