"""What the edge tells of each request to a collector of traces, if there is one."""
