"""What a DVC repository says of its data: the stages that made it, with commands, dependencies and digests.

Only DVC's files are read, `dvc.yaml`, `dvc.lock`, `*.dvc` and its cache; DVC itself is not needed.
"""
