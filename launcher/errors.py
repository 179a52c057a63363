"""What stops the launcher: an error whose text is the sentence the user reads."""


class LaunchError(Exception):
    """Carries one sentence that says what is wrong and what to do about it."""
