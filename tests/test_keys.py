"""keys.py: what names and ids may look like, and that every key of a queue shares the slot of its public name."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.crc import key_slot

from chute.keys import QUEUES, Keys, base_of, check_job_id, check_list_name, check_queue_name, is_job_id, is_partition, keys_of, result

# What the public contract says, told in another way than the code tells it.
NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
ID_CHARACTERS = frozenset(map(chr, range(0x21, 0x7F))) - frozenset("{}")

NAMES = st.text(st.sampled_from(sorted(NAME_CHARACTERS)), min_size=1, max_size=64)
IDS = st.text(st.sampled_from(sorted(ID_CHARACTERS)), min_size=1, max_size=256)
NEARLY = st.one_of(
    st.text(max_size=300),
    st.text(st.characters(max_codepoint=0x80), max_size=80),
    st.builds(lambda good, bad, place: good[:place] + bad + good[place:], IDS, st.text(max_size=2), st.integers(0, 300)),
    st.builds(lambda text, times: text * times, st.text(st.sampled_from("aZ0._-~!"), min_size=1, max_size=4), st.integers(0, 130)),
)


@given(NEARLY | NAMES)
@example("a" * 64)
@example("a" * 65)
@example("jobs\n")
@example("")
@example("ä")
@example("٣")
def test_a_queue_name_is_what_the_contract_says(name: str) -> None:
    good = 1 <= len(name) <= 64 and set(name) <= NAME_CHARACTERS
    assert good == (re.fullmatch("[A-Za-z0-9._-]{1,64}", name) is not None)
    if good:
        assert check_queue_name(name) == name
    else:
        with pytest.raises(ValueError, match="not a queue name"):
            check_queue_name(name)


@given(NEARLY | IDS)
@example("a" * 256)
@example("a" * 257)
@example("id\n")
@example("a b")
@example("{a}")
@example("a\x7f")
@example("|~")
@example("")
@example("ä")
def test_a_job_id_is_what_the_contract_says(job_id: str) -> None:
    good = 1 <= len(job_id) <= 256 and set(job_id) <= ID_CHARACTERS
    assert bool(is_job_id(job_id)) == good
    if good:
        assert check_job_id(job_id) == job_id
    else:
        with pytest.raises(ValueError, match="not a job id"):
            check_job_id(job_id)


@pytest.mark.parametrize("other", [None, 7, b"jobs", ["jobs"]])
def test_what_is_no_text_is_neither(other: object) -> None:
    with pytest.raises(ValueError, match="not a queue name"):
        check_queue_name(other)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a job id"):
        check_job_id(other)  # type: ignore[arg-type]


def every_key(keys: Keys, word: str, minute: int) -> dict[str, str]:
    named = {name: key for name, key in vars(keys).items() if not name.startswith("_")}
    return named | {"leases": keys.leases(word), "info": keys.info(word), "unique": keys.unique(word), "counts": keys.counts(minute)}


@given(NAMES, st.text(max_size=40), st.integers(0, 10**9))
def test_every_key_of_a_queue_shares_the_slot_of_its_public_name(name: str, word: str, minute: int) -> None:
    slot = key_slot(f"queue:{name}".encode())
    for key in every_key(keys_of(name), word, minute).values():
        assert key_slot(key.encode()) == slot


@given(NAMES, NAMES)
def test_two_queues_share_no_key(one: str, other: str) -> None:
    shared = set(every_key(keys_of(one), "w", 1).values()) & set(every_key(keys_of(other), "w", 1).values())
    assert bool(shared) == (one == other)


def test_the_keys_by_name() -> None:
    assert QUEUES == "queues"
    assert result("job_123") == "result:job_123"
    assert every_key(keys_of("jobs"), "w", 7) == {
        "queue": "queue:jobs",
        "first": "first:{queue:jobs}",
        "workers": "workers:{queue:jobs}",
        "tags": "tags:{queue:jobs}",
        "scheduled": "scheduled:{queue:jobs}",
        "dead": "dead:{queue:jobs}",
        "refused": "refused:{queue:jobs}",
        "leases": "leases:{queue:jobs}:w",
        "info": "info:{queue:jobs}:w",
        "unique": "unique:{queue:jobs}:w",
        "counts": "counts:{queue:jobs}:7",
    }


def test_the_keys_of_a_queue_are_made_once_and_never_for_a_bad_name() -> None:
    assert keys_of("jobs") is keys_of("jobs")
    with pytest.raises(ValueError, match="not a queue name"):
        keys_of("{jobs}")


@given(st.integers(-3, 30).map(str) | st.text(st.sampled_from("0123456789\u0663\u00b2\n +-"), max_size=3))
@example("\u0663")
@example("3\n")
@example("03")
def test_a_partition_is_one_of_the_fifteen(number: str) -> None:
    good = number in {str(each) for each in range(15)}
    assert is_partition(number) == good
    assert base_of(f"jobs:{number}") == ("jobs" if good else f"jobs:{number}")
    if not good:
        with pytest.raises(ValueError, match="not a queue name"):
            check_list_name(f"jobs:{number}")
