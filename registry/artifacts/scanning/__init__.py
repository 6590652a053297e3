"""What is inside a file, told from its bytes alone: its format, and whether reading it as a model may run code.

Nothing here is unpickled, imported, extracted or rendered, and nothing needs Django: it runs in a child process
(`child.py`) that can do no more than read what its parent hands it. The standard library alone.
"""

# The release of the scanner. Whoever changes what is found counts it up: every version is scanned again.
SCANNER = "1"
