"""The three kinds of failure: the user's, the passing one, the final one."""

from portal.wording import sentence


class UserFault(Exception):
    """The person asked for something that cannot be done: the message is shown, nothing has changed.

    `message` is English with %(named)s places for `values`, or a sentence that a rule has made; where it is shown,
    language.says() translates it.
    """

    status_code = 422

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__(message)
        # As the values are now: a row has nothing to say once its transaction is gone.
        self.sentence = sentence(message, **values) if values else message

    def __str__(self) -> str:
        return str(self.sentence)


class NotFound(UserFault):
    """There is no such thing for this person, whether it does not exist or lies out of reach."""

    status_code = 404


class Forbidden(UserFault):
    """The person's role does not include this."""

    status_code = 403


class Conflict(UserFault):
    """Something has changed since the person looked; the message says what."""

    status_code = 409


class Retryable(Exception):
    """It did not work this time; the same call may work later."""


class Permanent(Exception):
    """It will never work as it stands; it is recorded and shown to someone who can act."""
