"""`python -m launcher`: checks, starts everything, says how to use it, and stops it all at Ctrl-C."""

import os
import secrets
import sys
from datetime import date
from pathlib import Path

from launcher import installed, node, ollama, ports
from launcher.errors import LaunchError
from launcher.processes import GATEWAY, Machine, addresses, give_up_taken, plan
from launcher.settings import Settings, parse_settings, read_environment
from launcher.supervisor import Supervisor
from launcher.welcome import welcome


def main() -> int:
    """Runs until it is stopped; the exit code is 0 if that was wished and 1 otherwise."""
    try:
        checkout = Path(__file__).absolute().parent.parent
        _run(installed.prepare(os.environ) if installed.is_installed() else checkout)
    except LaunchError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        return 1  # nobody reads what we print any more
    return 0


def _run(root: Path) -> None:
    settings = parse_settings(read_environment(root, os.environ))
    machine = _look_around(settings, root)
    settings = give_up_taken(settings, machine, ports.is_free)
    ports.require_free(addresses(settings, machine) + settings.beside)
    processes = plan(settings, machine)
    print(f"Starting {', '.join(process.name for process in processes)} ...", flush=True)

    def when_ready() -> None:
        sys.stdout.write(welcome(settings, machine))
        sys.stdout.flush()

    Supervisor(processes, root, when_ready).run()


def _look_around(settings: Settings, root: Path) -> Machine:
    models = ollama.installed_models(settings.ollama_url) if settings.gateway_is_near else []
    return Machine(
        root=root,
        python=sys.executable,
        node="" if settings.own_gateway else _node_for_gateway(root),
        ollama_models=models,
        ollama_catalog=ollama.write_catalog(root / "var", models, date.today()) if models else None,
        gateway_token=secrets.token_urlsafe(32),
        installed=installed.is_installed(),
    )


def _node_for_gateway(root: Path) -> str:
    if installed.is_installed():
        installed.install_gateway(root)
    if not (root / GATEWAY).is_file():
        raise LaunchError("The Portkey gateway is not installed; run `make run` or scripts/bootstrap.sh run.")
    return node.find_node().executable


if __name__ == "__main__":
    sys.exit(main())
