"""The evaluation of the comparison: a made-up system, incidents planted in it, and the scores."""
