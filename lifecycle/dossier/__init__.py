"""What people are shown of a version and of a promotion: the facts that the desk and the console both tell."""
