"""What the documentation tells of the code, made from the code: `python -m scripts.reference NAME` prints one table."""
