"""Names the three scripted models and says how their strengths differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoModel:
    """One scripted model: how thorough it is, how much it says and how slowly."""

    name: str
    pause: float
    """Seconds between two chunks of a reply, before `DEMO_PACE` scales it."""
    every_place: bool = True
    """Whether a rename or replacement reaches every place in a file, or the first alone."""
    terse: bool = False

    @property
    def title(self) -> str:
        """The name the rest of the system knows it by."""
        return f"demo/{self.name}"

    @property
    def introduction(self) -> str:
        """How every prose reply begins, so that nobody takes a script for an AI."""
        return f"I am {self.title}, a scripted demo model, not an AI"


MODELS = {
    model.name: model
    for model in (
        DemoModel("small", pause=0.005, every_place=False, terse=True),
        DemoModel("medium", pause=0.010),
        DemoModel("large", pause=0.015),
    )
}


def find_model(name: str) -> DemoModel | None:
    """The model of that name, with or without `demo/` before it."""
    return MODELS.get(name.removeprefix("demo/"))
