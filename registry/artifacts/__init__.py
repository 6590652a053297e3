"""Bytes: the object store, uploads on their way in, publishing, proofs of what lies there, and the way out.

Nothing outside this folder knows S3, and keys are made here only.
"""
