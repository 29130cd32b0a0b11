"""The statistics beside metafor and the Python libraries that can do the same."""
