"""What the router tells of each call to a collector of traces, if there is one."""
