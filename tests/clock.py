"""A clock that only a test moves."""


class Clock:
    """Seconds, since whenever the test says."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
