"""The project's tests, mirroring its modules; they need no network beyond loopback."""
