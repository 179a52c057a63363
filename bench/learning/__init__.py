"""Does learning from outcomes pay? The shipped selection over real per-task outcomes, with feedback on its own choices."""
