"""Moving bytes: hashing, upload straight to the object store or through the server, verified download."""
