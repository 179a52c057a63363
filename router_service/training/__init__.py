"""The training of a custom Not Diamond router: turns out of the ledger, the file of them, and its submission."""

from router_service.training.dataset import Dataset, read_dataset
from router_service.training.submission import Submission, SubmissionFailed
from router_service.training.turns import Turn

__all__ = ["Dataset", "Submission", "SubmissionFailed", "Turn", "read_dataset"]
