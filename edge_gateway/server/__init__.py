"""The HTTP server that clients speak with: connections, their bounds and deadlines, and what is refused for want of room."""
