"""The system scaled out in containers, and changed under load."""
