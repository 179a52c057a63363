"""A page for the people who run the edge: decisions as they are made, and what came of them. Off unless it is asked for."""
