"""From files to answers: pictures and weights in, probabilities out. Importing this imports no torch."""


# What is wrong with what was handed in.


class InferenceError(ValueError):
    """A picture, a weights file or a choice that cannot be used.

    The message is one sentence that says what is wrong and what would be accepted.
    """
