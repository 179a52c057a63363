"""Starts the whole system on one machine: the processes, the order, the sentence when something is wrong."""
