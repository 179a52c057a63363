"""The steps from an empty database to what this release needs."""
