"""Whether it may be used: stages, policies, gates, promotions, approvals, retention."""
