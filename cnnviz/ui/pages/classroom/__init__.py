"""The teacher's page: how to join, who is here, the queue, limits."""
