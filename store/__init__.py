"""What is on disk, and nothing else: schema, paths, segment cover, coverage, marks."""
