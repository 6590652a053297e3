"""Postgres, Valkey and an S3 store from wheels, and the supervisor of `manage.py up`: no Docker, root or not.

Nothing here imports Django: it runs before settings exist.
"""
