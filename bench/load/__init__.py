"""Load, overload and soak of the running services, measured from outside against the bounds they are held to.

`make load` and `make soak` run it; each process that takes part is a real one, but for the stub in Portkey's place.
"""
