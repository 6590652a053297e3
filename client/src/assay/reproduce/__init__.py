"""Doing a version's training over: its code, data and environment in a folder, run again and compared.

Only what was recorded is used. What is not there is told, and nothing is put in its place.
"""
