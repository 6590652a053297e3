"""What `manage.py doctor` tests: every dependency, by using it the way Assay does."""
