"""A small app that enqueues jobs. `test_app.py` beside it shows how to test one; nothing here knows of tests."""

import chute

mail = chute.Queue("mail")


@mail.task(give_up_on=ValueError)
def send(to: str, subject: str) -> str:
    if "@" not in to:
        raise ValueError(f"{to} is no address")
    return f"{subject} -> {to}"  # stands for the mail that is sent


def sign_up(address: str) -> chute.Job[str]:
    """A mail now and one in a day."""
    send.options(delay=86_400).enqueue(address, "How do you like it?")
    return send.enqueue(address, "Welcome")
