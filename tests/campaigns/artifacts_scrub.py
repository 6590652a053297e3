"""`make campaign-artifacts-scrub`: objects are altered and deleted behind the registry's back, and looked for."""

from tests.campaigns.running import run

if __name__ == "__main__":
    run("tests.registry.artifacts.damage")
