"""Starts the demo models: `python -m demo`."""

import sys

import uvicorn
from pydantic import ValidationError

from demo.app import create_app
from demo.settings import Settings


def main() -> None:
    """Serve until told to stop; a wrong setting stops at once with a sentence that names it."""
    try:
        settings = Settings()
    except ValidationError as error:
        problems = ((f"DEMO_{problem['loc'][0]}".upper(), problem["msg"]) for problem in error.errors())
        sys.exit("\n".join(f"{name} is wrong: {message}" for name, message in problems))
    app = create_app(pace=settings.pace)
    uvicorn.run(app, host=settings.host, port=settings.port, access_log=False)


if __name__ == "__main__":
    main()
