"""The demonstration: the main job from training to archive, by separate people, on real services and real data."""
