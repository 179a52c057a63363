"""Whether acting on outcomes is worth it: the shipped policy, replayed on public results of many models on the same tasks."""
