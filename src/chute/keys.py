"""The names of everything on the server: one place for the key map and for what a name may look like. Pure.

`queue:jobs` and every `...:{queue:jobs}...` key hash to the same cluster slot, so the public name needs no braces.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

QUEUES = "queues"
"""The set of names of queues that a worker has ever worked."""

MOST_PARTITIONS = 15
"""Lists of a queue beside its plain one: a worker works 16 at most."""

_PARTITION = re.compile(r"(.*):([0-9]|1[0-4])")
_QUEUE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_queue_name(name: str) -> str:
    """Returns the name, or raises ValueError when it cannot be a queue's."""
    if not isinstance(name, str) or not is_queue_name(name):
        raise ValueError(f"not a queue name: {name!r}. A name is 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return name


def is_queue_name(name: str) -> bool:
    """Whether the text may name a queue."""
    return _QUEUE_NAME.fullmatch(name) is not None


def check_list_name(name: str) -> str:
    """As `check_queue_name`, for who may also name one partition of a queue, `jobs:3`."""
    if not isinstance(name, str) or not is_queue_name(base_of(name)):
        raise ValueError(f"not a queue name: {name!r}. A name is 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return name


def partition(name: str, number: int) -> str:
    """The name of one list of a queue that is spread over several."""
    return f"{name}:{number}"


def is_partition(text: str) -> bool:
    """Whether the text may be the number of a partition."""
    return _PARTITION.fullmatch(f":{text}") is not None


def base_of(name: str) -> str:
    """The queue that a list belongs to: `jobs` of `jobs:3`."""
    found = _PARTITION.fullmatch(name)
    return found[1] if found else name


def lists_of(name: str, known: Iterable[str]) -> list[str]:
    """The lists of a queue among those that are known, and its plain one whether it is or not."""
    numbers = sorted(int(each[len(name) + 1 :]) for each in known if each != name and base_of(each) == name)
    return [name, *[partition(name, number) for number in numbers]]


is_job_id = re.compile(r"[\x21-\x7a\x7c\x7e]{1,256}").fullmatch
"""Whether the text may name a job (a match, or None): 1 to 256 printable ASCII characters without spaces or braces."""


def check_job_id(job_id: str) -> str:
    """Returns the id, or raises ValueError when it cannot be a job's."""
    if not isinstance(job_id, str) or not is_job_id(job_id):
        raise ValueError(f"not a job id: {job_id!r}. An id is 1 to 256 printable ASCII characters without spaces or braces")
    return job_id


def result(job_id: str) -> str:
    """The hash with a job's status and result (public), in a slot of its own."""
    return f"result:{job_id}"


RESULT = result("")
"""What the name of a result hash begins with."""


def job_of_result(key: str) -> str:
    """The job id in the name of a result hash."""
    return key.removeprefix(RESULT)


class Keys:
    """The keys of one queue. `queue` is public; a script's KEYS are bound to these attributes by name."""

    def __init__(self, name: str) -> None:
        tag = "{queue:%s}" % name  # noqa: UP031 - braces are the point here
        self.queue = f"queue:{name}"
        self.first = f"first:{tag}"
        self.workers = f"workers:{tag}"
        self.tags = f"tags:{tag}"
        self.scheduled = f"scheduled:{tag}"
        self.dead = f"dead:{tag}"
        self.refused = f"refused:{tag}"
        self._leases = f"leases:{tag}:"
        self._info = f"info:{tag}:"
        self._unique = f"unique:{tag}:"
        self._counts = f"counts:{tag}:"
        self._once = f"once:{tag}:"

    def leases(self, worker: str) -> str:
        """The hash of what one worker holds: lease to job bytes, the only record of who holds what."""
        return self._leases + worker

    def info(self, worker: str) -> str:
        """What one worker says of itself: JSON, for people."""
        return self._info + worker

    def unique(self, key: str) -> str:
        """The string that holds the id of the job that owns a unique key."""
        return self._unique + key

    def counts(self, minute: int) -> str:
        """The hash of what was finished in one minute since the epoch."""
        return f"{self._counts}{minute}"

    def once(self, job_id: str) -> str:
        """The set of the steps that a job has done."""
        return self._once + job_id


@lru_cache(maxsize=1024)
def keys_of(name: str) -> Keys:
    """The keys of the queue of that name."""
    return Keys(check_list_name(name))
