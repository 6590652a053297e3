"""`make campaign-webhooks`: 5,000 events told while the broker is emptied and workers are killed; see the module."""

from tests.campaigns.running import run

if __name__ == "__main__":
    run("tests.registry.journal.storm")
