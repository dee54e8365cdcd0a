"""What the command says when it cannot go on: one sentence, no traceback."""


class UserError(Exception):
    """Something is wrong that a person can mend; the message says what and how.

    `status` is the command's exit status.
    """

    status = 1
