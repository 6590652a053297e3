"""`make campaign-lifecycle`: every move of the lifecycle predicted and tried, and raced under killed connections."""

from tests.campaigns.running import run

if __name__ == "__main__":
    run("tests.lifecycle.campaign")
