"""The command line, `aider-model-router` or `amr`: it starts the system, looks after it, and asks it why."""
