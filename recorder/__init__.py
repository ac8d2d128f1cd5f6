"""From Qtap's stream to sealed hours."""

import os

# Arrow's own allocators keep much of what they once had, and a recorder runs for weeks. Arrow looks
# at this when it is imported; a pool that is set later is none that its Parquet code uses.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
