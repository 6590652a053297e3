"""What every endpoint shares: who is calling, whether they may, what a refusal looks like, and paging."""
