"""`make campaign-openlineage`: 1,000 events shuffled and doubled in 20 ways give the same answers; see the module."""

from tests.campaigns.running import run

if __name__ == "__main__":
    run("tests.protocols.openlineage.shuffling")
