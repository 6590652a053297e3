"""Evidence for somebody who has no access: all that speaks for and against versions, as one document."""
