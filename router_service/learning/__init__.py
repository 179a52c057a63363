"""What outcomes teach: which models do better or worse than their priors say here, and which failure signals tell nothing."""

from router_service.learning.account import trace_of, verdict_of
from router_service.learning.learner import Learning
from router_service.learning.refresh import VerdictRefresh

__all__ = ["Learning", "VerdictRefresh", "trace_of", "verdict_of"]
