"""Who may ask, for what and how much: the clients' keys, their limits, and what has been used of them.

A claim stands for the most that a request may use, from its admission until what it really used is known. Edges that share
a Redis share all of it; an edge without one counts for itself.
"""
