"""Stand-ins for what cannot be reached: hosted APIs, on real sockets."""
