"""`make campaign-artifacts-races`: the bytes of a version are published while they are being collected."""

from tests.campaigns.running import run

if __name__ == "__main__":
    run("tests.registry.artifacts.collecting")
