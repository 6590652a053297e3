"""Other people's wire protocols, translated to our actions."""
