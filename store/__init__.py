"""What is on disk, and nothing else: schema, paths, segment cover, coverage, marks.

Here stands which qrec this is and which format it writes; the build reads it, every file has it.
"""

__version__ = "0.1.0"

# A column may be added under the same format; nothing is renamed or dropped without a new one.
FORMAT_VERSION = 1
